"""What a record of latency scenarios says: its rows in numbers, and what can't have been."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks import stats
from benchmarks.experiments.latency import queries
from benchmarks.experiments.latency.queries import Array
from benchmarks.grid.cells import LABELS

Row = dict[str, Any]

SATURATED = 0.95  # of a server's time: from there on, latencies grow with the length of the run


def moments(asked: Mapping[str, list[int]], name: str) -> Array:
    return np.array(asked[f"{name}_ns"], dtype=np.int64)


def _pooled(row: Mapping[str, Any], end: str, begin: str) -> Array:
    """Nanoseconds between two moments, of all queries of all processes."""
    asked = [process["queries"] for process in row["processes"]]
    return np.concatenate([moments(one, end) - moments(one, begin) for one in asked])


def _percentiles(latencies: Array) -> Row:
    """In ms; None for those that need more queries."""
    values: Row = {}
    for percent in (50, 90, 99):
        enough = percent == 50 or len(latencies) >= stats.needed(percent)
        value = float(np.percentile(latencies, percent)) / 1e6 if enough else None
        values[f"p{percent}_ms"] = value
    return values


def _per_process(row: Mapping[str, Any]) -> tuple[float, float]:
    """Medians over the processes: images per second, and the share of the time spent serving."""
    rates, busy = [], []
    for process in row["processes"]:
        started, ended = (moments(process["queries"], name) for name in ("started", "ended"))
        span = float(ended[-1])  # from the first query's moment
        rates.append(row["batch"] * len(ended) * 1e9 / span)
        busy.append(float((ended - started).sum()) / span)
    return float(np.median(rates)), float(np.median(busy))


def _waits(row: Mapping[str, Any]) -> Row:
    """A server's mean wait beside the one that the theory of queues expects of such services."""
    offered = float(np.median([process["offered_per_s"] for process in row["processes"]]))
    expected = queries.pollaczek_khinchine(offered, _pooled(row, "ended", "started"))
    wait = float(_pooled(row, "started", "scheduled").mean())
    return {
        "offered_per_s": offered,
        "wait_ms": wait / 1e6,
        "expected_wait_ms": None if expected is None else expected / 1e6,
    }


def _speed(row: Mapping[str, Any]) -> Row:
    latencies = _pooled(row, "ended", "scheduled")
    rate, busy = _per_process(row)
    speed: Row = {"queries": len(latencies), "processes": len(row["processes"])}
    speed |= {"images_per_s": rate, "busy": busy}
    # All images were there from the begin, so a pass' latency is no more than its place in line.
    if row["scenario"] != "offline":
        speed |= _percentiles(latencies)
    if row["scenario"] == "server":
        speed |= _waits(row)
    return speed


def rows(record: Mapping[str, Any]) -> list[Row]:
    """A row per cell, scenario and load. One that failed has its error and no speed."""
    table = []
    for entry in record["rows"]:
        row: Row = {key: entry[key] for key in ("scenario", "load", "rate", *LABELS, "error")}
        if not row["error"]:
            row |= _speed(entry)
        table.append(row)
    for row in table:
        row["notes"] = [] if row["error"] else _notes(row, table)
    return table


def _notes(row: Row, found: list[Row]) -> list[str]:
    if row["scenario"] == "server":
        if row["busy"] >= SATURATED:
            return [f"saturated: busy {row['busy']:.0%} of the time"]
        return []
    others = [other for other in found if not other["error"] and _same_but_batch(row, other)]
    best = max(others, key=lambda other: float(other["images_per_s"]))
    return ["best batch"] if row["scenario"] == "offline" and best is row else []


def _same_but_batch(one: Row, other: Row) -> bool:
    labels = ["scenario", *(label for label in LABELS if label != "batch")]
    return all(one[label] == other[label] for label in labels)
