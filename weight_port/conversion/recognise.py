"""Under which names a checkpoint's tensors are looked at: the file's, or what stands behind them.

A file may hold a state dict under a wrapper's names, beside other modules, and several of them:
the plain names are looked at first, and only where they are no whole network every prefix is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from weight_port.conversion import networks
from weight_port.conversion.detect import Detection, check_question, detect
from weight_port.conversion.networks import Part
from weight_port.dialects.keys import COUNTER
from weight_port.errors import DialectError, MismatchError
from weight_port.formats.contents import Contents, Tensors
from weight_port.formats.files import Checkpoint, open_checkpoint
from weight_port.parts import others, wrappers

_BY_CHANCE = 0.1  # share of a file's names


@dataclass(frozen=True)
class Recognised:
    """The network in a file: what it is, and its tensors under the names that say so."""

    detection: Detection
    tensors: Tensors
    notes: tuple[str, ...]  # what was done to the names, and what is left out
    contents: Contents  # as the file has them, with its own notes and what its metadata say
    prefix: str = ""  # what stood before the network's names
    others: Tensors = field(default_factory=dict)  # what stands beside it, by the file's names
    networks: tuple[Part, ...] = ()  # the other networks among those

    @property
    def modules(self) -> dict[str, int]:
        """The modules beside the network, with how many names each holds."""
        return others.by_module(self.others, self.prefix)


@dataclass(frozen=True)
class Choice:
    """Which tensors of a file are meant, as the commands' options say it.

    ``prefix`` is what stands before the network's names; the globs of ``drop`` name tensors to
    leave out; ``alone`` says that what stands beside a network is no part of it.
    """

    prefix: str | None = None
    drop: tuple[str, ...] = ()
    alone: bool = False


def _as_named(detection: Detection, name: str) -> Detection:
    """Of networks that no tensor tells apart, the one that the file's metadata name.

    The usual one stays in doubt where it is named: a converter that was told nothing names it too.
    """
    if name not in detection.twins:
        return detection
    reason = f"{detection.reason}; it says that it is {name}, which has the same"
    return replace(detection, architecture=name, twins=(), lookalikes=(), reason=reason)


def without(tensors: Tensors, globs: Iterable[str]) -> tuple[Tensors, tuple[str, ...]]:
    """The tensors but for those that the globs name; raises MismatchError for a glob of none."""
    matches = wrappers.dropped(tensors, globs)
    for glob, names in matches.items():
        if not names:
            raise MismatchError(f"--drop {glob!r} (drop=…) is the name of no tensor")
    gone = {name for names in matches.values() for name in names}
    notes = tuple(f"left out {len(names)} as --drop {glob!r}" for glob, names in matches.items())
    return {name: array for name, array in tensors.items() if name not in gone}, notes


def _views(contents: Contents, drop: Iterable[str]) -> Iterator[tuple[Tensors, tuple[str, ...]]]:
    """The tensors under every set of names that they have, the likeliest first."""
    if contents.structured:
        named = {contents.structured[name]: array for name, array in contents.tensors.items()}
        kept, notes = without(named, drop)
        yield kept, ("recognised by the layers' names, not the variables'", *notes)
    kept, notes = without(contents.tensors, drop)
    kept, added = wrappers.without_added(kept)
    yield kept, (*notes, *added)


def _behind(tensors: Tensors, prefix: str | None) -> tuple[Tensors, str]:
    """The tensors behind the prefix that was asked for, and that prefix as the file has it."""
    if not prefix:
        return tensors, ""
    for ending in ("", ".", "/"):
        whole = prefix + ending
        if whole[-1] in "./" and (behind := wrappers.under(tensors, whole)):
            return behind, whole
    modules = others.listed(others.by_module(tensors, ""))
    raise DialectError(f"no name begins with --prefix {prefix!r}; the names begin with {modules}")


def recognise(
    source: str | Path | Mapping[str, np.ndarray] | Contents,
    dialect: str | None = None,
    architecture: str | None = None,
    *,
    key: str | None = None,
    prefix: str | None = None,
    drop: Sequence[str] = (),
    alone: bool = False,
) -> Recognised:
    """What a checkpoint, or a set of tensors by their names, is: the network, and its tensors.

    A file may be of any format that ``read`` takes. It is looked at under the names that it has
    and under those behind them (behind any prefix, the layers' names instead of the variables'):
    the first that fit a network in full count, else those that fit one best. What stands beside
    the network is in ``others``. The tensors need not be complete: ``check`` says what is missing.
    ``dialect`` and ``architecture`` limit the choice to one each; without the latter, the file's
    metadata choose among networks with the same tensors.

    ``key`` is the state dict's in the checkpoint, as ``read`` takes it. ``prefix`` stands before
    the names of the network that is meant, ``drop`` has globs of names to leave out, and ``alone``
    says that what stands beside a whole network is no part of it. Raises DialectError where no
    names fit, and where there are several networks and no prefix is given; for a path FormatError
    as ``read`` does.
    """
    choice = Choice(prefix, tuple(drop), alone)
    if isinstance(source, (str, Path)):
        checkpoint = open_checkpoint(source, key)
        return recognise_checkpoint(checkpoint, dialect, architecture, choice)
    contents = source if isinstance(source, Contents) else Contents(dict(source))
    return _recognise(contents, dialect, architecture, choice)


def _recognise(
    contents: Contents, dialect: str | None, architecture: str | None, choice: Choice
) -> Recognised:
    """As ``recognise``, of what a file holds."""
    check_question(dialect, architecture)
    nearest: list[tuple[Part, tuple[str, ...], Tensors]] = []
    errors: list[DialectError] = []
    for tensors, notes in _views(contents, choice.drop):
        parts, reasons = _parts(tensors, dialect, architecture, choice)
        errors += reasons
        if chosen := networks.choose(parts):
            return _recognised(chosen, parts, notes, contents, tensors)
        nearest += [(part, notes, tensors) for part in parts]
    if not nearest:
        raise max(errors, key=_weight)
    part, notes, tensors = max(nearest, key=lambda item: networks.fit(item[0]))
    return _recognised(part, (), notes, contents, tensors)


def _weight(error: DialectError) -> float:
    """How much of the names an error explains; a few of them, which fit by chance, are nothing."""
    share: float = getattr(error, "share", 1.0)
    return share if share >= _BY_CHANCE else 0.0


def _parts(
    tensors: Tensors, dialect: str | None, architecture: str | None, choice: Choice
) -> tuple[list[Part], list[DialectError]]:
    """The networks among the tensors, or the one that their plain names are; why others are none.

    Of equal errors the likeliest names' comes first.
    """
    behind, prefix = _behind(tensors, choice.prefix)
    errors: list[DialectError] = []
    parts: list[Part] = []
    try:
        detection = detect(behind, dialect, architecture)
        own, needless = networks.without_needless(behind, detection)
        complete = networks.is_complete(own, detection)
        parts.append(Part(prefix, detection, own, complete, needless=needless))
        if complete:
            return parts, []
    except DialectError as error:
        errors.append(error)
    more, reasons = networks.find(behind, dialect, architecture, choice.alone)
    parts += [replace(part, prefix=prefix + part.prefix) for part in more]
    if choice.prefix is not None:  # the network that stands right behind it, if there is one
        here = [part for part in parts if part.prefix == prefix and part.complete]
        parts = here or parts
    return parts, [*errors, *reasons]


def _recognised(
    part: Part,
    parts: Iterable[Part],
    notes: tuple[str, ...],
    contents: Contents,
    tensors: Tensors,
) -> Recognised:
    """What is said of the network that was taken, and of what stands beside it."""
    detection = _as_named(part.detection, contents.architecture)
    own = part.names
    beside = {name: array for name, array in tensors.items() if name not in own}
    if part.needless:
        beside = {name: a for name, a in beside.items() if not name.endswith(COUNTER)}
    rest = tuple(other for other in parts if other.complete and other is not part)
    said = [*notes]
    if part.needless:
        said.append(f"left out {part.needless} × num_batches_tracked, needless in this dialect")
    if beside:
        where = f" under {others.quoted(part.prefix)}" if part.prefix else ""
        modules = others.listed(others.by_module(beside, part.prefix))
        said.append(
            f"{detection.architecture}{where} ({len(part.tensors)} of {len(tensors)}); "
            f"other names: {modules}"
        )
    elif part.prefix:
        said.append(f"prefix {part.prefix!r} taken off every name")
    if not detection.include_top and (head := detection.other_head(part.tensors)):
        said.append(f"its classifier is of another form: {', '.join(head[:4])}")
    said += [f"another network: {other}; --prefix {other.prefix} takes it" for other in rest]
    return Recognised(detection, part.tensors, tuple(said), contents, part.prefix, beside, rest)


def recognise_checkpoint(
    checkpoint: Checkpoint,
    dialect: str | None = None,
    architecture: str | None = None,
    choice: Choice = Choice(),
) -> Recognised:
    """As ``recognise``, of a file that is open; the error says which."""
    try:
        return _recognise(checkpoint.contents, dialect, architecture, choice)
    except DialectError as error:
        raise DialectError(f"{checkpoint.where}: {error}{_exported(checkpoint.contents)}") from None


def _exported(contents: Contents) -> str:
    """What to say of an inference model in which no network was found."""
    if contents.linear is None:
        return ""
    return (
        ". It is an exported inference model, in which Paddle has fused or renamed layers: take "
        "the training checkpoint (…_pretrained.pdparams), or keep the names with --to raw"
    )
