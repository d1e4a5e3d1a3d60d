"""``weight-port inspect``: what a checkpoint is, and whether its numbers are sound."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from weight_port.conversion import numbers, twins
from weight_port.conversion.check import check
from weight_port.conversion.detect import Detection
from weight_port.conversion.recognise import Recognised, recognise
from weight_port.errors import DialectError, one_line
from weight_port.formats.contents import Tensors
from weight_port.formats.files import Checkpoint, open_checkpoint
from weight_port.storage.maps import guarded
from weight_port.terminal import say, say_json, size

_OTHER = "other"
_WIDEST = 60  # characters that a column of names is padded to: one long name widens no other line


@guarded()
def run(args: argparse.Namespace) -> int:
    """Print what a checkpoint is; returns the exit status. Raises WeightPortError."""
    checkpoint = open_checkpoint(args.source, args.key)
    network: Recognised | None = None
    reason = ""
    try:
        network = recognise(checkpoint.contents, prefix=args.prefix, drop=args.drop)
    except DialectError as error:
        reason = str(error)
    report = _report(args.source, checkpoint, network, reason)
    tensors = network.tensors if network else checkpoint.contents.tensors
    if args.tensors or args.stats:
        report["tree"] = _tree(tensors, network.detection if network else None, args.stats)
    if args.json:
        say_json(report)
    else:
        _print(report)
    if network:
        check(network.tensors, network.detection, include_top=network.detection.include_top)
    return 0


def _bytes(source: Path) -> int:
    files = list(source.iterdir()) if source.is_dir() else [source]
    return sum(file.stat().st_size for file in files if file.is_file())


def _report(
    source: Path, checkpoint: Checkpoint, network: Recognised | None, reason: str
) -> dict[str, Any]:
    tensors = checkpoint.contents.tensors
    faults = _faults(tensors, network)
    report: dict[str, Any] = {
        "file": checkpoint.where,
        "format": checkpoint.format.name,
        "bytes": _bytes(source) if source.exists() else None,
        "tensors": len(tensors),
        "dtypes": {
            str(dtype): count for dtype, count in Counter(a.dtype for a in tensors.values()).items()
        },
        "values": sum(array.size for array in tensors.values()),
        "faults": asdict(faults),
        "unsound": list(faults.sentences()),
        "notes": [*checkpoint.contents.notes, *(network.notes if network else ())],
        "dialect": network.detection.dialect if network else None,
        "reason": network.detection.reason if network else reason,
    }
    if network:
        detection = network.detection
        report["architecture"] = detection.architecture
        report["in_channels"] = detection.in_channels
        report["classes"] = detection.num_classes
        report["prefix"] = network.prefix
        report["own"] = len(network.tensors)
        report["others"] = network.modules
        report["networks"] = [
            {
                "prefix": part.prefix,
                "architecture": part.detection.architecture,
                "dialect": part.detection.dialect,
                "tensors": len(part.tensors),
            }
            for part in network.networks
        ]
        report["undecided"] = list(twins.lines(detection))
        report["trainable"], report["statistics"] = _counts(network)
    return report


def _faults(tensors: Tensors, network: Recognised | None) -> numbers.Faults:
    """What is wrong with the numbers of the file's tensors, and with the network's variances."""
    if network is None:
        return numbers.faults(tensors)
    variances = numbers.variances(network.tensors, network.detection.keys())
    return numbers.faults(tensors, variances)


def _counts(network: Recognised) -> tuple[int, int]:
    """(trainable values, running statistics)."""
    entries = network.detection.keys()
    roles = {key: entry.parameter.role for key, entry in entries.items() if entry.parameter}
    sizes: Counter[bool] = Counter()
    for key, array in network.tensors.items():
        if key in roles:
            sizes[roles[key] in ("mean", "variance")] += array.size
    return sizes[False], sizes[True]


def _print(report: dict[str, Any]) -> None:
    def line(name: str, value: object) -> None:
        say(f"{name:<13} {one_line(value)}")

    line("file", report["file"])
    line("format", report["format"])
    if report["bytes"] is not None:
        line("size", size(report["bytes"]))
    line("tensors", report["tensors"])
    line("dtypes", ", ".join(f"{dtype} ({n})" for dtype, n in report["dtypes"].items()))
    for note in report["notes"]:
        line("note", note)
    for sentence in report["unsound"]:
        line("unsound", sentence)
    if report["dialect"] is None:
        line("values", f"{report['values']:,}")
        line("dialect", f"none: {report['reason']}")
    else:
        classes = f"{report['classes']} classes" if report["classes"] else "no classifier"
        line("dialect", f"{report['dialect']}: {report['reason']}")
        line(
            "architecture",
            f"{report['architecture']}, {report['in_channels']} input channels, {classes}",
        )
        for part in report["networks"]:
            where = f"{part['architecture']} in {part['dialect']} under `{part['prefix']}`"
            line("another", f"{where} ({part['tensors']}): --prefix {part['prefix']} takes it")
        for sentence in report["undecided"]:
            line("undecided", sentence)
        line(
            "parameters", f"{report['trainable']:,} trainable, {report['statistics']:,} statistics"
        )
    for stage, tensors in report.get("tree", {}).items():
        _print_stage(stage, tensors)


# -- the tree


def _tree(
    tensors: Tensors, detection: Detection | None, with_figures: bool
) -> dict[str, dict[str, dict[str, Any]]]:
    """Stage to key to what is known of the tensor, in the order of the network or of the file."""
    stages = _stages(detection) if detection else {}
    tree: dict[str, dict[str, dict[str, Any]]] = {}
    known = {key: tensors[key] for key in stages if key in tensors}
    for key, array in {**known, **tensors}.items():
        stage = stages.get(key, _OTHER) if detection else key.split(".")[0]
        tree.setdefault(stage, {})[key] = _leaf(array, with_figures)
    return tree


def _stages(detection: Detection) -> dict[str, str]:
    """From every key of a network to the part it belongs to."""
    from weight_port import arch

    name = detection.architecture
    parts = {layer.name: arch.part(name, layer) for layer in arch.layers(name)}
    return {key: parts[entry.layer] for key, entry in detection.keys().items()}


def _leaf(array: np.ndarray, with_figures: bool) -> dict[str, Any]:
    leaf: dict[str, Any] = {"shape": list(array.shape), "dtype": str(array.dtype)}
    if not with_figures:
        return leaf
    from weight_port.commands.statistics import figures  # for this option only

    return {**leaf, **asdict(figures(array))}


def _print_stage(stage: str, tensors: dict[str, dict[str, Any]]) -> None:
    say(f"\n{one_line(stage)} ({len(tensors)} tensors)")
    names = [one_line(key) for key in tensors]
    width = min(max(map(len, names)), _WIDEST)
    for name, leaf in zip(names, tensors.values(), strict=True):
        text = f"  {name:<{width}}  {leaf['dtype']:<8} {leaf['shape']!s:<20}"
        if "mean" in leaf:
            text += (
                f" {leaf['minimum']:.4g} to {leaf['maximum']:.4g},"
                f" mean {leaf['mean']:.4g} ± {leaf['deviation']:.4g}"
            )
            if leaf["nans"] or leaf["infinities"]:
                text += f", {leaf['nans']} NaN, {leaf['infinities']} infinite"
        say(text.rstrip())
