"""What becomes of the tensors beside a network that is converted, and where it is put back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weight_port.conversion.detect import Detection
from weight_port.conversion.recognise import Choice, Recognised, recognise_checkpoint
from weight_port.dialects.keys import COUNTER
from weight_port.errors import DestinationError, MismatchError
from weight_port.formats.contents import Tensors
from weight_port.formats.files import Checkpoint, format_to_write, open_checkpoint
from weight_port.formats.table import WRITABLE
from weight_port.parts import others

DROP, KEEP = "drop", "keep"
RAW = "raw"  # no dialect: names and bytes as they are in the source
# Formats without names of their own: the files' names, or their order, are those of variables.
_OF_VARIABLES = {
    "paddle1-folder": ("paddle1", RAW),
    "pdiparams": ("paddle1", "paddle_impl", "paddle.vision", RAW),
}


@dataclass(frozen=True)
class Beside:
    """What becomes of the tensors beside the network, and where it stands in the result."""

    rest: str | Path | None = None  # drop, keep, or a file for them; None: drop if that is safe
    to_prefix: str | None = None  # before the network's names; None: its own where they are kept
    into: Path | None = None  # a checkpoint that it is put into

    @classmethod
    def of(cls, rest: str | Path | None, to_prefix: str | None, into: str | Path | None) -> Beside:
        """Of what a caller has given."""
        place = rest if rest in (None, DROP, KEEP) else Path(rest)
        return cls(place, to_prefix, None if into is None else Path(into))


def check_beside(beside: Beside, destination: Path, to: str) -> None:
    """Raises DestinationError where the result can't be written as it is asked for."""
    others = isinstance(beside.rest, Path) or beside.to_prefix or beside.into
    if to == RAW and (beside.rest or others):
        raise DestinationError("--to raw writes all as it is: no --rest, --to-prefix or --into")
    _check_holds(destination, to)
    if isinstance(beside.rest, Path):
        if not beside.rest.suffix:
            raise DestinationError(
                f"--rest {beside.rest}: is neither {DROP} nor {KEEP}, nor a file, which has a "
                f"suffix: {', '.join(suffix for suffix in WRITABLE if suffix)}"
            )
        if beside.rest.resolve() == destination.resolve():
            raise DestinationError(f"{destination}: is to hold the network and the rest; name two")
        _check_holds(beside.rest, RAW)
    if beside.into and beside.rest == KEEP:
        raise DestinationError("--rest keep and --into are two places for the network; take one")
    whole = format_to_write(destination).name not in _OF_VARIABLES
    if not whole and (beside.rest == KEEP or beside.to_prefix or beside.into):
        raise DestinationError(
            f"{destination}: holds the variables of one network and nothing beside it; name a "
            "file of another format"
        )


def _check_holds(destination: Path, to: str) -> None:
    """Raises DestinationError where the format has no names and the dialect no variables."""
    row = format_to_write(destination)
    able = _OF_VARIABLES.get(row.name, (to,))
    if to not in able:
        what = "a combined file" if row.suffixes else "a folder"
        others = [suffix for suffix, o in WRITABLE.items() if o.name not in _OF_VARIABLES]
        raise DestinationError(
            f"{destination}: {what} holds Paddle 1.x variable files, so --to {' or '.join(able)}; "
            f"for {to} name a file with one of {', '.join(others)}"
        )


def assemble(
    network: Recognised, converted: Mapping[str, np.ndarray], to: str, beside: Beside
) -> tuple[Tensors, str, tuple[str, ...]]:
    """What is written, the prefix of the network's names in it, and notes."""
    if beside.into is not None:
        target = open_checkpoint(beside.into)
        return put_into(target, converted, to, network.detection, beside.to_prefix)
    keep = beside.rest == KEEP
    prefix = beside.to_prefix
    if prefix is None:
        prefix = network.prefix if keep else ""
    tensors = placed(converted, prefix, network.others if keep else {})
    if keep and network.others:
        note = f"{len(network.others)} other tensors kept as they are, not converted"
        return tensors, prefix, (note,)
    return tensors, prefix, ()


def placed(network: Mapping[str, np.ndarray], prefix: str, beside: Tensors) -> Tensors:
    """A network's tensors behind a prefix, and those beside it as they are.

    Raises DestinationError for two of one name.
    """
    tensors = {prefix + name: array for name, array in network.items()}
    if clash := next((name for name in tensors if name in beside), None):
        raise DestinationError(
            f"{clash} is a tensor of the network's and of the rest's; put the network behind "
            "another prefix (--to-prefix, to_prefix=…), or leave the rest out (--rest drop)"
        )
    return {**tensors, **beside}


def put_into(
    target: Checkpoint,
    network: Mapping[str, np.ndarray],
    to: str,
    detection: Detection,
    prefix: str | None,
) -> tuple[Tensors, str, tuple[str, ...]]:
    """The tensors of ``target`` with a network's in the place of its own, where that is, a note.

    Without a prefix the target must hold such a network in the dialect ``to``, which is replaced;
    with one, the network is put there. Raises DialectError where the target's is not found,
    MismatchError where it is another.
    """
    if prefix is None:
        there = recognise_checkpoint(target, to, choice=Choice(alone=True))
        network = {
            key: array
            for key, array in network.items()
            if key in there.tensors or not key.endswith(COUNTER)
        }
        _check_same(target.where, there, network, detection)
        prefix = there.prefix
    own = {prefix + name: array for name, array in network.items()}
    tensors = {**target.contents.tensors, **own}
    replaced = len(target.contents.tensors) + len(own) - len(tensors)
    where = others.quoted(prefix) if prefix else "the top"
    note = (
        f"put under {where} of {target.where}: {replaced} of its tensors replaced, "
        f"{len(own) - replaced} added, {len(tensors) - len(own)} kept as they are"
    )
    return tensors, prefix, (note,)


def _check_same(
    where: str, there: Recognised, network: Mapping[str, np.ndarray], detection: Detection
) -> None:
    name = there.detection.architecture
    if detection.architecture not in (name, *there.detection.twins):
        raise MismatchError(f"{where}: holds {name}, the source {detection.architecture}")
    if unknown := [key for key in network if key not in there.tensors]:
        raise MismatchError(
            f"{where}: its {name} has no {unknown[0]} ({len(unknown)} such tensors); name the "
            "place (--to-prefix, to_prefix=…) to add them, or leave the classifier out (--no-top)"
        )
    for key, array in network.items():
        if array.shape != (shape := there.tensors[key].shape):
            raise MismatchError(
                f"{where}: its {key} is {list(shape)}, the source's {list(array.shape)}; leave the "
                "classifier out (--no-top), or name the place (--to-prefix, to_prefix=…)"
            )


def check_rest(rest: object) -> None:
    """Raises DestinationError for what is no answer to what becomes of the rest."""
    if rest not in (None, DROP, KEEP):
        raise DestinationError(f"rest={rest!r}: one of {DROP!r} and {KEEP!r}, or None")
