"""``weight-port verify``: a converted file's certificate, checked as far as it can be."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from weight_port.conversion import certificate, numbers
from weight_port.conversion.check import check
from weight_port.conversion.convert import convert_detected
from weight_port.conversion.recognise import Choice, Recognised, recognise, recognise_checkpoint
from weight_port.errors import DialectError, FormatError, MismatchError, one_line, shown
from weight_port.formats.files import open_checkpoint
from weight_port.formats.safetensors import read_metadata
from weight_port.formats.table import holds_metadata
from weight_port.storage.maps import map_bytes
from weight_port.terminal import say, say_json

HOLDS, FAILS, UNCHECKED = "holds", "FAILS", "unchecked"


@dataclass(frozen=True)
class Check:
    """One claim, what became of it, and why."""

    claim: str
    state: str
    why: str


def run(args: argparse.Namespace) -> int:
    """Print every claim; 0 where none fails, 1 where one does. Raises WeightPortError."""
    metadata = _certificate(args.file)
    if args.source is not None:
        _check_there(args.source)
    checks = list(_checks(args.file, metadata, args.source))
    if args.json:
        say_json({"file": str(args.file), "checks": [asdict(check) for check in checks]})
    else:
        for item in checks:
            say(f"{item.state:<10} {one_line(item.claim)}: {one_line(item.why)}")
    return 1 if any(item.state == FAILS for item in checks) else 0


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise FormatError(f"{path}: no such file")


def _certificate(path: Path) -> dict[str, str]:
    """The metadata of a file that was converted; raises FormatError where there is none."""
    _check_there(path)
    metadata = read_metadata(path) if holds_metadata(path.name) else {}
    if certificate.RULES not in metadata:
        raise FormatError(
            f"{path}: holds no certificate: only a .safetensors file that `weight-port convert` "
            "wrote does; convert its source again"
        )
    return metadata


def _checks(path: Path, metadata: Mapping[str, str], source: Path | None) -> Iterator[Check]:
    dialect, name = metadata.get("dialect", ""), metadata.get("architecture", "")
    contents = open_checkpoint(path).contents
    claim = f"it is {name} in {dialect}"
    network: Recognised | None = None
    try:
        network = recognise(contents, dialect, name)
        check(network.tensors, network.detection, network.detection.include_top)
        beside = f"; {len(network.others)} others stand beside it" if network.others else ""
        where = f" under {shown(network.prefix)}" if network.prefix else ""
        rest = beside or ", and no other"
        yield Check(claim, HOLDS, f"every name and shape is there{where}{rest}")
    except (DialectError, MismatchError) as error:
        yield Check(claim, FAILS, str(error))
    variances = numbers.variances(network.tensors, network.detection.keys()) if network else {}
    wrong = numbers.faults(contents.tensors, variances).sentences()
    yield Check("its numbers are finite", FAILS if wrong else HOLDS, "; ".join(wrong) or "all are")
    yield _rules(metadata)
    yield from _source(path, metadata, source, network)
    yield Check("outputs are equal in both frameworks", UNCHECKED, "run `python -m parity` on it")


def _rules(metadata: Mapping[str, str]) -> Check:
    made_by = metadata.get(certificate.MADE_BY, "an unknown version")
    same = metadata[certificate.RULES] == certificate.rules()
    why = f"made by {made_by}, whose rules are {'these' if same else 'others than these'}"
    return Check("its rules are those of this version", HOLDS if same else UNCHECKED, why)


def _source(
    path: Path, metadata: Mapping[str, str], source: Path | None, network: Recognised | None
) -> Iterator[Check]:
    """Whether the source is the one it was made of, and gives the same numbers again."""
    name = metadata.get(certificate.SOURCE, "")
    given = source or path.with_name(Path(name).name or "?")
    expected = metadata.get(certificate.DIGEST)
    if expected is None or not given.is_file():
        why = "it has no digest" if expected is None else f"no {given} here; name it with --source"
        yield Check(f"its source is {name}", UNCHECKED, why)
        return
    found = hashlib.sha256(map_bytes(given)).hexdigest()
    same = found == expected
    yield Check(
        f"its source is {name}", HOLDS if same else FAILS, f"SHA-256 {found[:16]}… of {given}"
    )
    if same and network:
        yield _again(given, metadata, network)


def _again(source: Path, metadata: Mapping[str, str], network: Recognised) -> Check:
    claim = "its numbers are the source's, converted"
    detection = network.detection
    try:
        options = certificate.options(metadata)
        choice = Choice(options.prefix, options.drop, options.alone)
        before = recognise_checkpoint(
            open_checkpoint(source, options.key),
            metadata.get(certificate.DIALECT),
            options.architecture,
            choice,
        )
        made = convert_detected(
            before.tensors,
            detection.dialect,
            before.detection,
            options.include_top,
            options.fold,
            options.allow_mismatch,
        )
    except (DialectError, MismatchError, FormatError) as error:
        reason = str(error).splitlines()[0].rstrip(":")
        return Check(claim, UNCHECKED, f"its source can't be converted again: {reason}")
    other = [key for key, array in made.items() if not _same_bits(array, network.tensors.get(key))]
    if other:
        return Check(claim, FAILS, f"{len(other)} tensors are others, {other[0]} first")
    return Check(claim, HOLDS, f"{len(made)} tensors, bit by bit")


def _same_bits(array: np.ndarray, other: np.ndarray | None) -> bool:
    return (
        other is not None
        and (array.dtype, array.shape) == (other.dtype, other.shape)
        and array.tobytes() == other.tobytes()
    )
