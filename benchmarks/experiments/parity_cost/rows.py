"""The rows of what parity costs: ratios over the bare frameworks."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks import stats
from benchmarks.experiments.parity_cost.measure import PADDLE, PARITY, TORCH
from benchmarks.records import record
from benchmarks.records.record import Record


def unsound(record: Record) -> list[str]:
    """Commands that claim to have gone well without a time."""
    return [
        f"record.commands[{index}]: no error, and no times"
        for index, command in enumerate(record["commands"])
        if command["error"] is None and not command["wall_ns"]
    ]


def ratio(found: record.Record) -> stats.Ratio | None:
    """Parity's time over the sum of the two alone, with its 95 % interval.

    None where a command failed or ran too seldom.
    """
    rows = {row["name"]: row for row in found["commands"]}
    if any(row["error"] for row in rows.values()):
        return None
    whole, *parts = ([np.array([ns]) for ns in rows[n]["wall_ns"]] for n in (PARITY, TORCH, PADDLE))
    if min(map(len, (whole, *parts))) < stats.MIN_PROCESSES:
        return None
    random = np.random.default_rng(0)
    median = partial(stats.resampled_median, random=random)
    replicates = [median(whole) / sum(map(median, parts)) for _ in range(stats.REPLICATES)]
    low, high = (float(value) for value in np.percentile(replicates, [2.5, 97.5]))
    return stats.Ratio(stats.pooled_median(whole) / sum(map(stats.pooled_median, parts)), low, high)
