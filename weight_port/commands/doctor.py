"""``weight-port doctor``: what is wrong with a file, by itself or beside a sound one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from weight_port.doctor import alone, case
from weight_port.doctor.table import Diagnosis, Finding, diagnose
from weight_port.errors import FormatError, MismatchError, UnsafeFileError, one_line
from weight_port.formats.contents import Contents
from weight_port.formats.files import open_checkpoint
from weight_port.formats.states import KEYS
from weight_port.terminal import say, say_json

NONE_FOUND = "none found"


def run(args: argparse.Namespace) -> int:
    """Print what is wrong; 0 where nothing is found, 1 where something is. Raises WeightPortError.

    A file that can't be read is a finding; a reference must be readable.
    """
    report: dict[str, Any] = {"file": str(args.source), "like": args.like and str(args.like)}
    report |= _examined(args.source, args.like)
    if args.json:
        say_json(report)
    else:
        _print(report)
    return 1 if report["findings"] or report["unexplained"] else 0


def _examined(source: Path, like: Path | None) -> dict[str, Any]:
    reference = open_checkpoint(like).contents if like else None
    try:
        contents = open_checkpoint(source).contents
    except UnsafeFileError:
        raise
    except FormatError as error:
        return _table([Finding("unreadable", str(error))], ())
    network = case.recognised(contents)
    found = alone.findings(contents.tensors, network)
    if reference is None or like is None:
        return _table(found, ())
    both = case.between(contents, reference)
    if not both.tensors:
        raise MismatchError(
            f"{source} and {like} have no tensor in common: name a sound file of the same network"
        )
    diagnosis = diagnose(both)
    if diagnosis.unexplained and (state := _another_state(source, like, contents, reference)):
        diagnosis = Diagnosis((state,), ())
    named = {key for finding in diagnosis.findings for key in finding.keys}
    rest = [finding for finding in found if not set(finding.keys) <= named]
    return _table([*diagnosis.findings, *rest], diagnosis.unexplained)


def _table(found: Sequence[Finding], unexplained: Sequence[str]) -> dict[str, Any]:
    return {"findings": [asdict(item) for item in found], "unexplained": list(unexplained)}


def _another_state(
    source: Path, like: Path, contents: Contents, reference: Contents
) -> Finding | None:
    """Where one file holds another state of the training (an EMA) that is the other's exactly."""
    for path, tensors in ((like, contents.tensors), (source, reference.tensors)):
        for key, state in _states(path):
            if _identical(state, tensors):
                name = f"another state of the training: {key!r} of {path.name}"
                return Finding(name, "choose the state with --key", tuple(state))
    return None


def _states(path: Path) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    for key in KEYS:
        try:
            yield key, open_checkpoint(path, key).contents.tensors
        except FormatError:
            continue


def _identical(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(array, second[key]) for key, array in first.items()
    )


# -- printed


def sentence(finding: dict[str, Any]) -> str:
    """A finding in a line."""
    keys = finding["keys"]
    some = ", ".join(keys[:3]) + (" …" if len(keys) > 3 else "")
    where = f" ({len(keys)} tensors: {some})" if keys else ""
    return f"{finding['name']}{where}: {finding['remedy']}"


def _print(report: dict[str, Any]) -> None:
    def line(name: str, value: object) -> None:
        say(f"{name:<13} {one_line(value)}")

    line("file", report["file"])
    if report["like"]:
        line("like", report["like"])
    for finding in report["findings"]:
        line("found", sentence(finding))
    unexplained = report["unexplained"]
    if unexplained:
        some = ", ".join(unexplained[:3]) + (" …" if len(unexplained) > 3 else "")
        line("differs", f"{len(unexplained)} tensors, for no cause that is known: {some}")
    if not report["findings"]:
        line("cause", NONE_FOUND)
