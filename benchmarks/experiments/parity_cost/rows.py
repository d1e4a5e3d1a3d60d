"""The rows of what parity costs: commands' times, their ratio, and the parent's memory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks import stats

Row = dict[str, Any]

PARITY, TORCH, PADDLE = "python -m parity", "torch alone", "paddle alone"
FACTOR = 1.25  # the parity run may take so many times the two alone
ANONYMOUS = 300_000_000  # bytes of the parity run's parent, at the greatest depth


def ratio(record: Mapping[str, Any]) -> stats.Ratio | None:
    """Parity's time over the sum of the two alone, with its 95 % interval.

    None where a command failed or ran too seldom.
    """
    commands = {row["name"]: row for row in record["commands"]}
    if any(row["error"] for row in commands.values()):
        return None
    whole, *parts = (
        [np.array([ns]) for ns in commands[name]["wall_ns"]] for name in (PARITY, TORCH, PADDLE)
    )
    if min(map(len, (whole, *parts))) < stats.MIN_PROCESSES:
        return None
    random = np.random.default_rng(0)
    median = partial(stats.resampled_median, random=random)
    replicates = [median(whole) / sum(map(median, parts)) for _ in range(stats.REPLICATES)]
    low, high = (float(value) for value in np.percentile(replicates, [2.5, 97.5]))
    return stats.Ratio(stats.pooled_median(whole) / sum(map(stats.pooled_median, parts)), low, high)


def costs(record: Mapping[str, Any]) -> list[Row]:
    """A row per command, one for their ratio where it may be quoted, and one for the memory."""
    quoted = ratio(record)
    commands = [_command(row) for row in record["commands"]]
    return [*commands, *([_ratio(quoted)] if quoted else []), _memory(record["memory"])]


def _command(entry: Mapping[str, Any]) -> Row:
    """Seconds of a command, or its error and none."""
    row: Row = {"name": entry["name"], "error": entry["error"]}
    if entry["error"]:
        return row
    seconds = [ns / 1e9 for ns in entry["wall_ns"]]
    return {**row, "seconds": float(np.median(seconds)), "low": min(seconds), "high": max(seconds)}


def _ratio(quoted: stats.Ratio) -> Row:
    reached = "yes" if quoted.high <= FACTOR else "no" if quoted.low > FACTOR else "undecided"
    row: Row = {"name": f"{PARITY} / both alone", "error": None, "ratio": quoted.value}
    row |= {"low": quoted.low, "high": quoted.high}
    return {**row, "at_most": FACTOR, "reached": reached}


def _memory(entry: Mapping[str, Any]) -> Row:
    good = not entry["error"] and entry["peak_bytes"] < ANONYMOUS
    row: Row = {"name": f"memory of the parent, {entry['model']}", "error": entry["error"]}
    row |= {"peak_bytes": entry["peak_bytes"], "under_bytes": ANONYMOUS}
    return {**row, "reached": "yes" if good else "no"}
