"""What pages and pictures draw: a record's rows, how they are told apart, and their samples."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import stats
from benchmarks.experiments.forward import rows
from benchmarks.grid.cells import IMPLEMENTATIONS, LABELS

Samples = np.ndarray[Any, Any]

MOST_SAMPLES = 200  # of a row that are drawn: more would be one black bar, and a page of megabytes

# Okabe and Ito's colours (https://jfly.uni-koeln.de/color/) but for the yellow, which a white
# ground swallows: warm ones for PyTorch's side, blue ones for Paddle's. Each has a marker too.
LOOKS = {
    "pytorch_impl": ("#D55E00", "o"),  # vermilion
    "torchvision": ("#E69F00", "^"),  # orange
    "timm": ("#CC79A7", "v"),  # reddish purple
    "paddle_impl": ("#0072B2", "s"),  # blue
    "paddle.vision": ("#56B4E9", "D"),  # sky blue
    "onnxruntime": ("#009E73", "P"),  # bluish green
    "openvino": ("#000000", "X"),  # black
    "any other": ("#7A7A7A", "*"),
}


def framework(row: Mapping[str, Any]) -> str:
    """Whose process ran the row; "other" for an implementation that this version doesn't know."""
    return str(row.get("framework") or IMPLEMENTATIONS.get(row["implementation"], "other"))


def varying(drawn: Sequence[Mapping[str, Any]]) -> list[str]:
    """The labels in which some rows differ."""
    return [label for label in LABELS if len({row[label] for row in drawn}) > 1]


# Said first, and wherever rows differ in them.
_ALWAYS = ("implementation", "model", "batch", "mode", "precision")


def naming(drawn: Sequence[Mapping[str, Any]]) -> list[str]:
    """Labels that tell every row from the others, without those that the rest implies."""

    def kinds(labels: Sequence[str]) -> int:
        return len({tuple(row[label] for label in labels) for row in drawn})

    there = varying(drawn)
    labels = [label for label in _ALWAYS if label in there or label == "implementation"]
    labels += [label for label in there if label not in labels]
    for label in [label for label in labels if label not in _ALWAYS]:
        without = [other for other in labels if other != label]
        labels = without if kinds(without) == kinds(labels) else labels
    return labels


def paneling(drawn: Sequence[Mapping[str, Any]]) -> list[str]:
    """Labels whose values are drawn apart: rungs always, and no precision beside another."""
    apart = [label for label in naming(drawn) if label not in ("implementation", "batch", "mode")]
    return [label for label in varying(drawn) if label in (*apart, "rung")]


# How a value reads where its label isn't said.
_UNITS = {
    "batch": "batch {}",
    "size": "{} px",
    "threads": "{} threads",
    "allocator": "{} allocator",
}


def name(row: Mapping[str, Any], labels: Iterable[str]) -> str:
    """The values of some labels, in words."""
    return ", ".join(_UNITS.get(label, "{}").format(row[label]) for label in labels)


def looks(drawn: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """A place in LOOKS for every implementation; those that it doesn't name share what is free."""
    *known, _ = LOOKS
    there = list(dict.fromkeys(row["implementation"] for row in drawn))
    free = [index for index, one in enumerate(known) if one not in there]
    others = itertools.cycle([*free, len(known)])
    return {one: known.index(one) if one in known else next(others) for one in there}


def drawn_rows(record: Mapping[str, Any]) -> list[rows.Row]:
    """``rows.rows`` with framework, first_call_ms and ``latency``, None for a failed row.

    ``latency`` has the passes' milliseconds: ``processes``, an ascending list for each, thinned
    where they are many; ``box``, their least, quartiles and largest, the row's time in the middle;
    ``of``, how many there were.
    """
    drawn = []
    for row, cell in zip(rows.rows(record), record["cells"], strict=True):
        first = [process["first_call_ns"] / 1e6 for process in cell["processes"]]
        more = {
            "framework": framework(row),
            "first_call_ms": float(np.median(first)) if first else None,
            "latency": None if row["error"] is not None else _latency(cell),
        }
        drawn.append({**row, **more})
    return drawn


def _latency(cell: Mapping[str, Any]) -> dict[str, Any]:
    processes = [np.sort(one) / 1e6 for one in rows.samples(cell, "device_ns")]
    box = np.percentile(np.concatenate(processes), [0, 25, 50, 75, 100])
    box[2] = stats.typical(processes)  # the row's time, as the table has it
    share = max(2, MOST_SAMPLES // len(processes))
    return {
        "processes": [thinned(one, share).tolist() for one in processes],
        "box": box.tolist(),
        "of": sum(map(len, processes)),
    }


def thinned(ascending: Samples, most: int) -> Samples:
    """At most so many of sorted values, evenly spaced by rank; the first and the last stay."""
    if len(ascending) <= most:
        return ascending
    ranks = np.linspace(0, len(ascending) - 1, most).round().astype(int)
    return np.take(ascending, ranks)
