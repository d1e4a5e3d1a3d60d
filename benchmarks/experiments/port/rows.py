"""From a record of conversions to the numbers of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks import stats
from benchmarks.experiments.port.cases import ANONYMOUS, TARGETS, Target
from benchmarks.records.record import Record

Row = dict[str, Any]
Times = dict[str, list[np.ndarray[Any, Any]]]  # command -> one array of seconds per process


def times(record: Mapping[str, Any]) -> Times:
    """Wall times of the commands that did not fail."""
    return {
        row["name"]: [np.array([run["wall_ns"] / 1e9]) for run in row["runs"]]
        for row in record["commands"]
        if row["error"] is None
    }


def commands(record: Mapping[str, Any]) -> list[Row]:
    """A row per command. One that failed has its error and no time."""
    found = []
    for entry in record["commands"]:
        row: Row = {"name": entry["name"], "error": entry["error"]}
        if entry["error"] is None:
            walls = [run["wall_ns"] / 1e9 for run in entry["runs"]]
            row |= {"seconds": float(np.median(walls)), "low": min(walls), "high": max(walls)}
            row["cpu_seconds"] = float(np.median([run["cpu_ns"] / 1e9 for run in entry["runs"]]))
            row["processes"] = len(walls)
        found.append(row)
    return found


def parts(record: Mapping[str, Any]) -> list[Row]:
    """Mean milliseconds of every part, of the commands that say; means add up, medians don't."""
    found = []
    for entry in record["commands"]:
        runs = [run["parts"] for run in entry["runs"] if run["parts"]]
        if entry["error"] is None and runs:
            means = {part: float(np.mean([run[part] for run in runs])) / 1e6 for part in runs[0]}
            found.append({"name": entry["name"], **means, "whole": sum(means.values())})
    return found


def _share(target: Target, top: float, bottom: float) -> float:
    return top / (target.factor * bottom + target.seconds)


def _interval(target: Target, top: stats.Processes, bottom: stats.Processes) -> tuple[float, float]:
    """The 95 % interval of the share, which may be of a sum: by a bootstrap over processes."""
    random = np.random.default_rng(0)
    replicates = [
        _share(target, stats.resampled_median(top, random), _resampled(bottom, random))
        for _ in range(stats.REPLICATES)
    ]
    low, high = (float(value) for value in np.percentile(replicates, [2.5, 97.5]))
    return low, high


def _resampled(processes: stats.Processes, random: np.random.Generator) -> float:
    return stats.resampled_median(processes, random) if processes else 0.0


def targets(record: Mapping[str, Any]) -> list[Row]:
    """A row per target whose commands did not fail and ran often enough.

    ``share`` is the time over the limit or, of an "at least", over the least: ``reached`` is "yes"
    where its whole interval is on the right side of 1, "no" where it is on the wrong one.
    """
    taken, found = times(record), []
    for target in TARGETS:
        top, bottom = taken.get(target.top), taken.get(target.bottom or "", [])
        if not top or (target.bottom and not bottom):
            continue
        if min(len(side) for side in (top, bottom) if side) < stats.MIN_PROCESSES:
            continue
        medians = [stats.pooled_median(side) if side else 0.0 for side in (top, bottom)]
        share, (low, high) = _share(target, *medians), _interval(target, top, bottom)
        right, wrong = (low > 1, high < 1) if target.at_least else (high < 1, low > 1)
        row: Row = {"top": target.top, "bottom": target.bottom, "target": target.shown}
        row |= {"at_least": target.at_least, "factor": target.factor}
        row |= {"seconds": medians[0], "share": share, "low": low, "high": high}
        row["limit"] = None if target.at_least else target.factor * medians[1] + target.seconds
        found.append({**row, "reached": "yes" if right else "no" if wrong else "undecided"})
    return found


def memory(record: Mapping[str, Any]) -> list[Row]:
    """A row per source: peak bytes of the conversion to each destination, None where it failed."""
    found: dict[str, Row] = {}
    for entry in record["memory"]:
        row = found.setdefault(entry["source"], {"source": entry["source"]})
        row[entry["destination"]] = entry["peak_bytes"]
    return list(found.values())


def worst(record: Mapping[str, Any]) -> Row:
    """The pair of formats with the highest peak, and whether all stay under the target."""
    entries = record["memory"]
    most = max(entries, key=lambda entry: entry["peak_bytes"] or 0)
    good = all(entry["error"] is None and entry["peak_bytes"] < ANONYMOUS for entry in entries)
    return {**most, "pairs": len(entries), "reached": "yes" if good else "no"}


MAX_REST = 0.1  # of a conversion's time may be in none of its parts


def unsound(record: Record) -> list[str]:
    """Commands that claim to have gone well without a run, and parts that are not the whole."""
    found = []
    for index, command in enumerate(record["commands"]):
        where = f"record.commands[{index}]"
        if command["error"] is None and not command["runs"]:
            found.append(f"{where}: no error, and no runs")
        for run in command["runs"]:
            parts = run["parts"] or {}
            if parts and sum(parts.values()) != run["wall_ns"]:
                found.append(f"{where}: its parts are not the whole")
            if parts and not 0 <= parts["rest"] <= MAX_REST * run["wall_ns"]:
                found.append(f"{where}: {parts['rest']} ns of {run['wall_ns']} are in no part")
    return found
