"""The rows of trainings: speeds beside a bare loop's, and what a mode brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks import stats

Row = dict[str, Any]
LABELS = ("framework", "precision", "layout", "threads")


def name(row: Mapping[str, Any]) -> str:
    """A row in a table: "torch, float32, NCHW"."""
    threads = f", {row['threads']} thread" if row["threads"] else ""
    return f"{row['framework']}, {row['precision']}, {row['layout']}{threads}"


def _labels(row: Row) -> Row:
    return {**{key: row[key] for key in LABELS}, "error": row["error"]}


def _times(row: Row, kind: str) -> list[np.ndarray[Any, Any]]:
    return [np.array(process[kind]) for process in row["processes"]]


def _ratio(what: str, top: Row, kind: str, bottom: Row, other: str) -> Row:
    """Time over time, of processes of the same rounds; None where a side failed or ran seldom."""
    found = None
    if not top["error"] and not bottom["error"]:
        found = stats.ratio(_times(top, kind), _times(bottom, other), paired=True)
    values = (found.value, found.low, found.high) if found else (None, None, None)
    return dict(zip((what, f"{what}_low", f"{what}_high"), values, strict=True))


def _reached(row: Row, what: str, least: float) -> str | None:
    low, high = row[f"{what}_low"], row[f"{what}_high"]
    if low is None:
        return None
    return "yes" if low >= least else "no" if high < least else "undecided"


def targets(record: Mapping[str, Any]) -> list[Row]:
    """Images per second, and two ratios of speeds with whether they reached what they should.

    ``loop`` is the training's loop and ``feed`` the data path alone, each over a bare loop.
    """
    settings = record["settings"]
    images = settings["batch"] * settings["steps"]
    table = []
    for entry in record["rows"]:
        row = _labels(entry)
        if not entry["error"]:
            for kind in ("loop", "bare"):
                typical = stats.typical(_times(entry, kind))
                row[f"{kind}_images_per_s"] = images / typical * 1e9
            for kind in ("loop", "feed"):
                over = f"{kind}_over_bare"
                row |= _ratio(over, entry, "bare", entry, kind)
                row[f"{kind}_reached"] = _reached(row, over, settings[f"least_{kind}"])
        table.append(row)
    return table


def gains(record: Mapping[str, Any]) -> list[Row]:
    """A row per mode beside the framework's first: what it gains in speed, and in accuracy.

    The first mode's own gain is 1, without an interval.
    """
    firsts: dict[str, Row] = {}
    table = []
    for row in record["rows"]:
        first = firsts.setdefault(row["framework"], row)
        gain = {"gain": 1.0} if row is first else _ratio("gain", first, "loop", row, "loop")
        table.append({**_labels(row), **gain, **_accuracy(row, first)})
    return table


def _accuracy(row: Row, first: Row) -> Row:
    """Mean and range over seeds, in percent, and of the differences to equal seeds of the first."""
    if not row["accuracies"]:
        return {}
    own, base = (
        {entry["seed"]: 100 * entry["test_accuracy"] for entry in mode["accuracies"]}
        for mode in (row, first)
    )
    apart = [own[seed] - base[seed] for seed in own if seed in base]
    differences = {} if row is first or not apart else _range("points", apart)
    return {**_range("accuracy_percent", list(own.values())), **differences}


def _range(what: str, values: list[float]) -> Row:
    return {what: float(np.mean(values)), f"{what}_low": min(values), f"{what}_high": max(values)}
