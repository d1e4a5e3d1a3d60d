"""From one file to another: read, detect, check, convert and write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from weight_port.conversion import numbers, twins
from weight_port.conversion.convert import convert_detected, parameter_names
from weight_port.conversion.detect import Detection
from weight_port.conversion.recognise import recognise_checkpoint
from weight_port.dialects.keys import DIALECTS
from weight_port.errors import DestinationError, MismatchError
from weight_port.formats.contents import Tensors
from weight_port.formats.files import Checkpoint, format_to_write, open_checkpoint, write
from weight_port.formats.table import WRITABLE, holds_metadata
from weight_port.storage import digest, phases
from weight_port.storage.digest import Digest
from weight_port.storage.disk import check_apart
from weight_port.storage.maps import guarded

RAW = "raw"  # no dialect: names and bytes as they are in the source
# Formats without names of their own: the files' names, or their order, are those of variables.
_OF_VARIABLES = {
    "paddle1-folder": ("paddle1", RAW),
    "pdiparams": ("paddle1", "paddle_impl", "paddle.vision", RAW),
}


@dataclass(frozen=True)
class Ported:
    """What ``convert_file`` did."""

    source: Detection | None  # None: nothing was detected, --to raw
    tensors: int
    counters_made: int
    dropped: tuple[str, ...]
    notes: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()  # what the source may be instead, a sentence each


@guarded()
def convert_file(
    source: str | Path,
    destination: str | Path,
    to: str,
    *,
    dialect: str | None = None,
    architecture: str | None = None,
    include_top: bool = True,
    force: bool = False,
    linear_layout: str | None = None,
    fold: bool = False,
    allow_mismatch: bool = False,
    sha256: Digest | None = None,
) -> Ported:
    """Read, detect, check, convert and write; nothing is written where a check fails.

    ``dialect`` and ``architecture`` name what is otherwise detected.
    ``to="raw"`` keeps names and bytes, of any file; ``linear_layout="torch"`` then transposes the
    weights that the program beside the file multiplies by, and no others. ``fold`` and
    ``allow_mismatch`` are ``convert``'s; what a model of ``to`` computes otherwise is in the notes
    and in the metadata of a file that has any, and so is what else
    the source may be. ``sha256`` is the source's, where the caller has it
    computed already. Raises WeightPortError: see ``read``,
    ``convert`` and ``write``.
    """
    destination = Path(destination)
    check_apart(Path(source), destination)
    _check_holds(destination, to)
    if sha256 is None and holds_metadata(destination.name):
        sha256 = digest.start(Path(source))
    phases.begin(phases.READ)
    checkpoint = open_checkpoint(source)
    phases.begin(phases.RENAME)
    if to == RAW:
        tensors, notes = _raw(checkpoint, linear_layout)
        metadata = _metadata(checkpoint, {"dialect": RAW}, sha256)
        _write(destination, tensors, force, metadata)
        return Ported(None, len(tensors), 0, (), notes)
    if linear_layout is not None:
        raise DestinationError("--linear-layout goes with --to raw; a dialect has its own layout")
    source_network = recognise_checkpoint(checkpoint, dialect, architecture)
    detection = source_network.detection
    top = include_top and detection.include_top  # what isn't there can't be left out
    converted = convert_detected(source_network.tensors, to, detection, top, fold, allow_mismatch)
    about = {"format": _framework(to), "dialect": to, "architecture": detection.architecture}
    if others := twins.names(detection):
        about["undecided"] = others  # which networks the tensors may be of instead
    if converted.mismatches:
        about["mismatches"] = "; ".join(map(str, converted.mismatches))
    metadata = _metadata(checkpoint, about, sha256)
    counters, dropped = _difference(source_network.tensors, converted, detection, to)
    _write(destination, converted, force, metadata, _variables(to, converted, detection))
    notes = (*checkpoint.contents.notes, *source_network.notes, *map(str, converted.differences))
    if include_top and not top:
        notes += ("there is no classifier in the source, and none in the result",)
    keys = replace(detection, dialect=to).keys()
    notes += numbers.faults(converted, numbers.variances(converted, keys)).sentences()
    undecided = tuple(filter(None, (twins.open_to(detection, to), twins.short(detection))))
    return Ported(detection, len(converted), counters, dropped, notes, undecided)


def _write(
    destination: Path,
    tensors: Tensors,
    force: bool,
    metadata: Mapping[str, str | Digest],
    names: Mapping[str, str] | None = None,
) -> None:
    phases.begin(phases.WRITE)
    write(destination, tensors, force=force, metadata=metadata, names=names)
    phases.begin(phases.DONE)


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


def _raw(checkpoint: Checkpoint, linear_layout: str | None) -> tuple[Tensors, tuple[str, ...]]:
    contents = checkpoint.contents
    unsound = numbers.faults(contents.tensors).sentences()
    if linear_layout is None:
        return contents.tensors, (*contents.notes, *unsound)
    if contents.linear is None:
        raise MismatchError(
            f"{checkpoint.where}: --linear-layout needs the program (.pdmodel or .json) beside the "
            "file, which says what is a linear weight; shapes alone don't"
        )
    turned = {
        name: array.T if name in contents.linear else array
        for name, array in contents.tensors.items()
    }
    note = f"{len(contents.linear)} linear weights transposed"
    return turned, (*contents.notes, note, *unsound)


def _metadata(
    checkpoint: Checkpoint, about: Mapping[str, str], sha256: Digest | None
) -> dict[str, str | Digest]:
    metadata: dict[str, str | Digest] = dict(about)
    metadata["source"] = Path(checkpoint.where).name
    if sha256 is not None:
        metadata["source_sha256"] = sha256
    return metadata


def _variables(to: str, converted: Tensors, detection: Detection) -> dict[str, str] | None:
    """The names of Paddle's parameters behind the keys, where they are known."""
    if to != "paddle.vision":
        return parameter_names(to, converted, detection)
    from weight_port.dialects.paddle_variables import vision_names  # for this dialect only

    names = vision_names(detection.architecture, **detection.sizes)
    return {key: names[key] for key in converted}


def _framework(dialect: str) -> str:
    return "pt" if DIALECTS[dialect].torch else "pd"


def _difference(
    tensors: Tensors, converted: Tensors, detection: Detection, to: str
) -> tuple[int, tuple[str, ...]]:
    """(counters made, keys left out): both sides told apart by the scheme's names."""
    before, after = detection.keys(True), replace(detection, dialect=to).keys(True)
    had = {before[key].name: key for key in tensors}
    has = {after[key].name for key in converted}
    dropped = tuple(key for name, key in had.items() if name not in has)
    counters = {after[key].name for key in converted if after[key].role == "counter"}
    return len(counters - had.keys()), dropped
