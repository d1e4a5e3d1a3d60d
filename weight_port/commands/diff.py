"""``weight-port diff``: two checkpoints tensor by tensor, across formats and dialects."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weight_port import arch
from weight_port.commands.statistics import difference
from weight_port.conversion.recognise import Recognised, recognise
from weight_port.dialects.keys import Key
from weight_port.errors import DialectError, one_line
from weight_port.formats.contents import Contents
from weight_port.formats.files import open_checkpoint
from weight_port.storage.maps import guarded
from weight_port.terminal import say, say_json


@dataclass(frozen=True)
class Side:
    """One checkpoint's tensors by names that both share, in one layout."""

    tensors: Mapping[str, np.ndarray]
    keys: Mapping[str, str]  # from those names to the file's own
    counters: frozenset[str]  # num_batches_tracked: torch has them, Paddle doesn't


def _recognised(contents: Contents) -> Recognised | None:
    try:
        return recognise(contents)
    except DialectError:
        return None


def _by_scheme(network: Recognised) -> Side:
    """By the scheme's names, axes in its order."""
    entries, arrays = network.detection.keys(True), network.tensors
    names = {key: entries[key].name if key in entries else key for key in arrays}
    tensors = {
        name: _in_scheme(arrays[key], entries[key]) if key in entries else arrays[key]
        for key, name in names.items()
    }
    counters = frozenset(e.name for e in entries.values() if e.role == "counter")
    own = {name: network.prefix + key for key, name in names.items()}
    # What stands beside the network is compared too, by its own names.
    beside = {f"beside {name}": name for name in network.others}
    tensors |= {name: network.others[key] for name, key in beside.items()}
    return Side(tensors, {**own, **beside}, counters)


def _in_scheme(array: np.ndarray, entry: Key) -> np.ndarray:
    """The tensor with its axes in the scheme's order, where it has as many."""
    whole = entry.order and array.ndim == len(entry.order)
    return array.transpose(np.argsort(entry.order)) if whole else array


def _as_they_are(contents: Contents) -> Side:
    return Side(contents.tensors, {key: key for key in contents.tensors}, frozenset())


def compare(first: Side, second: Side) -> dict[str, Any]:
    """What differs: missing in the second, unexpected there, shapes, dtypes, values."""
    optional = first.counters | second.counters
    only_first = [n for n in first.tensors if n not in second.tensors and n not in optional]
    only_second = [n for n in second.tensors if n not in first.tensors and n not in optional]
    both = [name for name in first.tensors if name in second.tensors]
    report: dict[str, Any] = {
        "missing": {first.keys[n]: list(first.tensors[n].shape) for n in only_first},
        "unexpected": {second.keys[n]: list(second.tensors[n].shape) for n in only_second},
        "shapes": {},
        "dtypes": {},
        "values": {},
        "compared": len(both),
    }
    for name in both:
        a, b, key = first.tensors[name], second.tensors[name], _label(name, first, second)
        if a.shape != b.shape:
            report["shapes"][key] = [list(a.shape), list(b.shape)]
            continue
        if a.dtype != b.dtype:
            report["dtypes"][key] = [str(a.dtype), str(b.dtype)]
        apart = difference(a, b)
        if apart.elements:
            report["values"][key] = {
                "maximum": apart.maximum,
                "elements": apart.elements,
                "of": a.size,
            }
    report["same"] = not any(report[part] for part in _TITLES)
    return report


def _label(name: str, first: Side, second: Side) -> str:
    here, there = first.keys[name], second.keys[name]
    return here if here == there else f"{here} | {there}"


def _same_tensors(first: Recognised, second: Recognised) -> bool:
    """Whether two networks have the same tensors, though they may use them otherwise."""
    a, b = (arch.architecture(side.detection.architecture) for side in (first, second))
    return a.tensors == b.tensors


def _sides(a: Path, b: Path) -> tuple[Side, Side, str, list[str]]:
    """Both sides, what they are compared as, and what was done to the names of each."""
    contents = [open_checkpoint(path).contents for path in (a, b)]
    one, other = map(_recognised, contents)
    if one and other and _same_tensors(one, other):
        detections = (one.detection, other.detection)
        what = dict.fromkeys(f"{d.architecture} in {d.dialect}" for d in detections)
        notes = [f"{side}: {n}" for side, net in (("A", one), ("B", other)) for n in net.notes]
        return _by_scheme(one), _by_scheme(other), " and ".join(what), notes
    first, second = map(_as_they_are, contents)
    return first, second, "by the files' own names", []


@guarded()
def run(args: argparse.Namespace) -> int:
    """Compare and print; 0 where all is the same, 1 where not. Raises WeightPortError."""
    first, second, what, notes = _sides(args.first, args.second)
    report: dict[str, Any] = {"first": str(args.first), "second": str(args.second), "as": what}
    report |= {"notes": notes, **compare(first, second)}
    report["causes"] = [] if report["same"] else _causes(args.first, args.second)
    if args.json:
        say_json(report)
    else:
        _print(report)
    return 0 if report["same"] else 1


def _causes(first: Path, second: Path) -> list[str]:
    """What ``doctor`` calls that in B which is otherwise in A, each with its count of tensors."""
    from weight_port.doctor import case, table  # where it is needed

    sound, file = (open_checkpoint(path).contents for path in (first, second))
    diagnosis = table.diagnose(case.between(file, sound))
    return [f"{finding.name} ({len(finding.keys)})" for finding in diagnosis.findings]


_TITLES = {
    "missing": "missing in B",
    "unexpected": "only in B",
    "shapes": "other shapes",
    "dtypes": "other dtypes",
    "values": "other values",
}


def _print(report: dict[str, Any]) -> None:
    say(f"A {one_line(report['first'])}\nB {one_line(report['second'])}")
    say(f"{report['compared']} tensors compared, {report['as']}")
    for note in report["notes"]:
        say(f"  note {one_line(note)}")
    for part, title in _TITLES.items():
        if report[part]:
            say(f"  {title} ({len(report[part])}):")
        for key, value in report[part].items():
            say(f"    {one_line(key)}  {_detail(part, value)}")
    causes = f": in B, {', '.join(report['causes'])}" if report["causes"] else ""
    say("the same" if report["same"] else f"different{causes}")


def _detail(part: str, value: Any) -> str:
    if part in ("shapes", "dtypes"):
        return f"{value[0]} in A, {value[1]} in B"
    if part == "values":
        return (
            f"max |A - B| {value['maximum']:.6g}, {value['elements']:,} of {value['of']:,} differ"
        )
    return str(value)
