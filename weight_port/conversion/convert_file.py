"""From one file to another: read, detect, check, convert and write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from weight_port.conversion import certificate, numbers, twins
from weight_port.conversion.convert import Converted, convert_detected, parameter_names
from weight_port.conversion.detect import Detection
from weight_port.conversion.recognise import Choice, Recognised, recognise_checkpoint, without
from weight_port.conversion.rest import RAW, Beside, assemble, check_beside
from weight_port.dialects.keys import DIALECTS
from weight_port.errors import DestinationError, MismatchError
from weight_port.formats.contents import Tensors
from weight_port.formats.files import Checkpoint, Output, open_checkpoint, write_all
from weight_port.formats.table import holds_metadata
from weight_port.storage import digest, phases
from weight_port.storage.digest import Digest
from weight_port.storage.disk import check_apart
from weight_port.storage.maps import guarded


@dataclass(frozen=True)
class Ported:
    """What ``convert_file`` did."""

    source: Detection | None  # None: nothing was detected, --to raw
    tensors: int
    counters_made: int
    dropped: tuple[str, ...]
    notes: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()  # what the source may be instead, a sentence each
    prefix: str = ""  # before the network's names in the source
    others: Mapping[str, int] = field(default_factory=dict)  # modules beside it, and their names


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
    key: str | None = None,
    prefix: str | None = None,
    drop: Sequence[str] = (),
    rest: str | Path | None = None,
    to_prefix: str | None = None,
    into: str | Path | None = None,
    sha256: Digest | None = None,
) -> Ported:
    """Read, detect, check, convert and write; nothing is written where a check fails.

    ``dialect`` and ``architecture`` name what is otherwise detected.
    ``to="raw"`` keeps names and bytes, of any file; ``linear_layout="torch"`` then transposes the
    weights that the program beside the file multiplies by, and no others. ``fold`` and
    ``allow_mismatch`` are ``convert``'s; what a model of ``to`` computes otherwise is in the notes
    and in the metadata of a file that has any, and so is what else the source may be.

    ``key`` is that of the dict of tensors in a checkpoint that has several; ``prefix`` what stands
    before the network's names; ``drop`` has globs of names to leave out. Of the tensors beside the
    network ``rest`` says what becomes: ``"keep"`` writes them too, as they are, the network behind
    ``to_prefix`` or its own prefix; a path is a file for them alone; ``"drop"`` leaves them out.
    Without it they are left out too, with a note, but beside a network with its classifier in the
    same module, which may be a part of another. ``into`` is a checkpoint, in the dialect ``to``,
    whose tensors are written with the network's in the place of its own.

    ``sha256`` is the source's, where the caller has it computed already. Raises WeightPortError:
    see ``read``, ``convert`` and ``write``.
    """
    destination = Path(destination)
    check_apart(Path(source), destination)
    beside = Beside.of(rest, to_prefix, into)
    check_beside(beside, destination, to)
    if sha256 is None and holds_metadata(destination.name):
        sha256 = digest.start(Path(source))
    phases.begin(phases.READ)
    checkpoint = open_checkpoint(source, key)
    phases.begin(phases.RENAME)
    if to == RAW:
        return _port_raw(checkpoint, destination, drop, linear_layout, force, sha256)
    if linear_layout is not None:
        raise DestinationError("--linear-layout goes with --to raw; a dialect has its own layout")
    choice = Choice(prefix, tuple(drop), alone=rest is not None)
    network = recognise_checkpoint(checkpoint, dialect, architecture, choice)
    detection = network.detection
    try:
        converted = convert_detected(
            network.tensors, to, detection, include_top, fold, allow_mismatch
        )
    except MismatchError as error:  # with what the tensors are taken for, where that is a part
        raise MismatchError("\n".join((*network.notes, str(error)))) from None
    tensors, placed_under, notes = assemble(network, converted, to, beside)
    names = _variables(to, converted, detection, placed_under)
    options = certificate.Options(
        key, prefix, choice.drop, choice.alone, architecture, include_top, fold, allow_mismatch
    )
    about = _about(checkpoint, network, converted, to, sha256, options)
    outputs = [Output(destination, tensors, about, names)]
    if isinstance(beside.rest, Path) and network.others:
        outputs.append(Output(beside.rest, network.others))
        notes += (f"the other tensors are in {beside.rest}",)
    keys = replace(detection, dialect=to).keys()
    unsound = numbers.faults(tensors, numbers.variances(converted, keys)).sentences()
    _write(outputs, force)
    counters, dropped = _difference(network.tensors, converted, detection, to)
    notes = (*checkpoint.contents.notes, *network.notes, *map(str, converted.differences), *notes)
    if include_top and not detection.include_top:
        notes += ("there is no classifier in the source, and none in the result",)
    notes += unsound
    undecided = tuple(filter(None, (twins.open_to(detection, to), twins.short(detection))))
    place = (network.prefix, network.modules)
    return Ported(detection, len(tensors), counters, dropped, notes, undecided, *place)


def _about(
    checkpoint: Checkpoint,
    network: Recognised,
    converted: Converted,
    to: str,
    sha256: Digest | None,
    options: certificate.Options,
) -> dict[str, str | Digest]:
    """The metadata of a file that has a place for them."""
    detection = network.detection
    about = {"format": _framework(to), "dialect": to, "architecture": converted.architecture}
    if sha256 is not None:  # a file with a place for it, of a source that is a file
        about |= certificate.of(detection.dialect, options)
    if network.prefix:
        about["source_prefix"] = network.prefix
    if others := twins.names(detection):
        about["undecided"] = others  # which networks the tensors may be of instead
    if converted.mismatches:
        about["mismatches"] = "; ".join(map(str, converted.mismatches))
    return with_source(about, checkpoint, sha256)


def _port_raw(
    checkpoint: Checkpoint,
    destination: Path,
    drop: Sequence[str],
    linear_layout: str | None,
    force: bool,
    sha256: Digest | None,
) -> Ported:
    """Names and bytes as they are."""
    tensors, notes = _raw(checkpoint, linear_layout)
    tensors, dropped = without(tensors, drop)
    _write([Output(destination, tensors, with_source({"dialect": RAW}, checkpoint, sha256))], force)
    return Ported(None, len(tensors), 0, (), (*notes, *dropped))


def _write(outputs: list[Output], force: bool) -> None:
    phases.begin(phases.WRITE)
    write_all(outputs, force=force)
    phases.begin(phases.DONE)


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


def with_source(
    about: Mapping[str, str], checkpoint: Checkpoint, sha256: Digest | None
) -> dict[str, str | Digest]:
    """A file's metadata: what it is, and what it was made of."""
    metadata: dict[str, str | Digest] = dict(about)
    metadata[certificate.SOURCE] = Path(checkpoint.where).name
    if sha256 is not None:
        metadata[certificate.DIGEST] = sha256
    return metadata


def _variables(
    to: str, converted: Tensors, detection: Detection, prefix: str
) -> dict[str, str] | None:
    """The names of Paddle's parameters behind the keys, where they are known."""
    if to == "paddle.vision":
        from weight_port.dialects.paddle_variables import vision_names  # for this dialect only

        names: Mapping[str, str] | None = vision_names(detection.architecture, **detection.sizes)
    else:
        names = parameter_names(to, converted, detection)
    return {prefix + key: names[key] for key in converted} if names else None


def _framework(dialect: str) -> str:
    return "pt" if DIALECTS[dialect].torch else "pd"


def _difference(
    tensors: Tensors, converted: Converted, detection: Detection, to: str
) -> tuple[int, tuple[str, ...]]:
    """(counters made, keys left out): both sides told apart by the scheme's names."""
    target = replace(detection, dialect=to, architecture=converted.architecture)
    before, after = detection.keys(True), target.keys(True)
    had = {before[key].name if key in before else key: key for key in tensors}
    has = {after[key].name for key in converted}
    dropped = tuple(key for name, key in had.items() if name not in has)
    counters = {after[key].name for key in converted if after[key].role == "counter"}
    return len(counters - had.keys()), dropped
