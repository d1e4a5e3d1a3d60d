"""From a record of conversions to the numbers of its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import stats
from benchmarks.experiments.port.cases import ANONYMOUS, TARGETS, Target

MAX_REST = 0.1  # of a conversion's time may be in none of its parts
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
    rows = []
    for entry in record["commands"]:
        row: Row = {"name": entry["name"], "error": entry["error"]}
        if entry["error"] is None:
            walls = [run["wall_ns"] / 1e9 for run in entry["runs"]]
            row |= {"seconds": float(np.median(walls)), "low": min(walls), "high": max(walls)}
            row["cpu_seconds"] = float(np.median([run["cpu_ns"] / 1e9 for run in entry["runs"]]))
            row["processes"] = len(walls)
        rows.append(row)
    return rows


def parts(record: Mapping[str, Any]) -> list[Row]:
    """Mean milliseconds of every part, of the commands that say; means add up, medians don't."""
    found = []
    for entry in record["commands"]:
        runs = [run["parts"] for run in entry["runs"] if run["parts"]]
        if entry["error"] is None and runs:
            means = {part: float(np.mean([run[part] for run in runs])) / 1e6 for part in runs[0]}
            found.append({"name": entry["name"], **means, "whole": sum(means.values())})
    return found


def _limit(target: Target, seconds: Sequence[float]) -> float:
    """What the target sets against its command's time: seconds of each of its terms, weighted."""
    return sum(factor * term for (factor, _), term in zip(target.terms, seconds, strict=True))


def _interval(target: Target, sides: Sequence[stats.Processes]) -> tuple[float, float]:
    """The 95 % interval of the share, which may be of a sum: by a bootstrap over processes."""
    random = np.random.default_rng(0)
    replicates = []
    for _ in range(stats.REPLICATES):
        top, *terms = (stats.resampled_median(side, random) for side in sides)
        replicates.append(top / _limit(target, terms))
    low, high = (float(value) for value in np.percentile(replicates, [2.5, 97.5]))
    return low, high


def targets(record: Mapping[str, Any]) -> list[Row]:
    """A row per target whose commands are in the record, did not fail and ran often enough.

    ``share`` is the time over the limit or, of an "at least", over the least: ``reached`` is "yes"
    where its whole interval is on the right side of 1, "no" where it is on the wrong one.
    """
    taken = times(record)
    return [
        _judge(target, [taken[name] for name in _commands(target)])
        for target in TARGETS
        if all(len(taken.get(name, [])) >= stats.MIN_PROCESSES for name in _commands(target))
    ]


def _commands(target: Target) -> list[str]:
    return [target.top, *(command for _, command in target.terms)]


def _judge(target: Target, sides: Sequence[stats.Processes]) -> Row:
    top, *terms = (stats.pooled_median(side) for side in sides)
    limit = _limit(target, terms)
    low, high = _interval(target, sides)
    factor, bottom = target.terms[0] if len(target.terms) == 1 else (None, None)
    right, wrong = (low > 1, high < 1) if target.at_least else (high < 1, low > 1)
    return {
        "top": target.top,
        "bottom": bottom,  # the one command that it is set against, and its factor; or none
        "factor": factor,
        "target": target.shown,
        "at_least": target.at_least,
        "seconds": top,
        "limit": None if target.at_least else limit,
        "share": top / limit,
        "low": low,
        "high": high,
        "reached": "yes" if right else "no" if wrong else "undecided",
    }


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
