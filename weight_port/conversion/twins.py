"""What is said of the networks that a set of tensors can be instead of the one it is taken for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weight_port.conversion import guard

if TYPE_CHECKING:
    from weight_port.conversion.detect import Detection


def lines(detection: Detection) -> tuple[str, ...]:
    """What the tensors leave open, a sentence each; none where nothing is open.

    Other dialects with the same names, other architectures with the same tensors and what they
    compute otherwise, and networks with the same tensors that the suite has not.
    """
    name, dialect = detection.architecture, detection.dialect
    said = []
    if detection.aliases:
        said.append(f"{' and '.join(detection.aliases)} has the same names")
    if detection.twins:
        said.append(
            f"the tensors could be those of {' or '.join(detection.twins)} too, which a state dict "
            f"can't tell apart; taken for {name}, which {dialect} builds by default: if it is "
            "another, name it (--architecture, architecture=…)"
        )
        said += [f"{twin}: {_differs(detection, twin)}" for twin in detection.twins]
    if detection.lookalikes:
        variants = "; ".join(f"{item.what} ({item.differs})" for item in detection.lookalikes)
        said.append(f"or those of a variant that the suite has not, with other outputs: {variants}")
    return tuple(said)


def short(detection: Detection) -> str:
    """The same in one sentence, which leads to the rest; "" for nothing."""
    if not names(detection):
        return ""
    return (
        f"taken for {detection.architecture}; a state dict can't tell it from {names(detection)} "
        "(`weight-port inspect` says how they differ)"
    )


def names(detection: Detection) -> str:
    """The same in a few words, for a file's metadata; "" for nothing."""
    return ", ".join([*detection.twins, *(item.what for item in detection.lookalikes)])


def _differs(detection: Detection, twin: str) -> str:
    """What a twin computes otherwise, and where the one that was taken does it."""
    return "; ".join(
        f"{subject} {theirs}, not {ours}"
        for subject, ours, theirs in guard.apart(detection.dialect, detection.architecture, twin)
    )


def open_to(detection: Detection, to: str) -> str:
    """Which twins would compute something else in a model of ``to``, in a sentence; "" for none."""
    unlike = [
        twin
        for twin in detection.twins
        if any(
            difference.kind == guard.FUNCTION
            for difference in guard.differences(detection.dialect, twin, to)
        )
    ]
    if not unlike:
        return ""
    return (
        f"no model in {to} computes what {' or '.join(unlike)} does: if the file is one of them, "
        f"the outputs will be others. Taken for {detection.architecture}, which "
        f"{detection.dialect} builds by default; name the network with --architecture to settle it"
    )


def warning(where: object, detection: Detection) -> str:
    """What a model's user is warned of; "" where no other network has the tensors."""
    if not names(detection):
        return ""
    about = f"{where}: taken for {detection.architecture}; architecture={detection.architecture!r}"
    return "\n  ".join([f"{about} says that it is, and silences this", *lines(detection)])
