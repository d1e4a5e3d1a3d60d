"""From a record of a network's steps to the numbers of its tables. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from benchmarks import stats
from benchmarks.roofline import costs, roofs

Record = Mapping[str, Any]
Row = dict[str, Any]
Key = tuple[str, str]  # a step's name and kind

IMPLEMENTATIONS = {"torch": "pytorch_impl", "paddle": "paddle_impl"}  # whose network each runs
FRAMEWORKS = tuple(IMPLEMENTATIONS)
ADDED = ("flops", "bytes", "difference_ms", *(f"{name}_ms" for name in FRAMEWORKS))


def _samples(side: Mapping[str, Any], key: Key) -> list[np.ndarray[Any, Any]]:
    """One array of nanoseconds per process of a framework, for a step that passed in all."""
    times = []
    for process in side["processes"]:
        by_key = {(step["name"], step["kind"]): step for step in process["steps"]}
        times.append(np.array(by_key[key]["device_ns"]))
    return times


def _error(side: Mapping[str, Any], key: Key) -> str | None:
    """Why a framework has no time for a step."""
    if side["error"]:
        return str(side["error"])
    for process in side["processes"]:
        errors = [s["parity"]["error"] for s in process["steps"] if (s["name"], s["kind"]) == key]
        if not errors:
            return "no such step was visited"
        if errors[0]:
            return str(errors[0])
    return None


def _worst(side: Mapping[str, Any], key: Key) -> float | None:
    """The largest relative L2 from float64 over a framework's processes."""
    values = [
        step["parity"]["relative_l2"]
        for process in side["processes"]
        for step in process["steps"]
        if (step["name"], step["kind"]) == key
    ]
    return max((value for value in values if value is not None), default=None)


def _one_side(side: Mapping[str, Any], step: costs.Step, roof: roofs.Roof) -> Row:
    """A framework's columns of a step."""
    name, key = side["framework"], (step.name, step.kind)
    if _error(side, key):
        return {}
    ns = stats.typical(_samples(side, key))
    shares = roof.shares(step.flops, step.bytes, ns)
    columns = {k: v for k, v in shares.items() if k != "bound"}
    columns |= {"gbytes_per_s": step.bytes / ns}
    return {f"{name}_ms": ns / 1e6, **{f"{name}_{key}": value for key, value in columns.items()}}


def _compared(record: Record, key: Key) -> Row:
    """Paddle's time over torch's, with its interval where there are processes enough for one."""
    torch, paddle = (_samples(side, key) for side in record["sides"])
    ratio = stats.ratio(paddle, torch, paired=len(torch) == len(paddle))
    middle = stats.typical(paddle), stats.typical(torch)
    row: Row = {"difference_ms": (middle[0] - middle[1]) / 1e6, "ratio": middle[0] / middle[1]}
    if ratio:
        row |= {"ratio": ratio.value, "low": ratio.low, "high": ratio.high}
        row |= {"verdict": ratio.verdict}
    return row


def rows(record: Record) -> list[Row]:
    """A row per step, in execution order; what a framework failed at has its error, no time."""
    settings, roof = record["settings"], roofs.roof(record, "fp32")
    table = []
    for step in costs.steps(settings["model"], settings["size"], settings["batch"]):
        row: Row = {"name": step.name, "kind": step.kind, "flops": step.flops, "bytes": step.bytes}
        row["bound"] = roof.shares(step.flops, step.bytes, 1.0)["bound"]
        errors = []
        for side in record["sides"]:
            row |= _one_side(side, step, roof)
            worst = _worst(side, (step.name, step.kind))
            row[f"{side['framework']}_relative_l2"] = worst
            if error := _error(side, (step.name, step.kind)):
                errors.append(f"{side['framework']}: {error}")
        if not errors:
            row |= _compared(record, (step.name, step.kind))
        table.append({**row, "error": "; ".join(errors) or None})
    return table


def by_difference(found: Iterable[Row]) -> list[Row]:
    """Rows with those first in which the frameworks' times differ most; failed ones last."""

    def rank(row: Row) -> tuple[bool, float]:
        return "difference_ms" not in row, -abs(row.get("difference_ms", 0.0))

    return sorted(found, key=rank)


def _summed(what: str, of: list[Row], roof: roofs.Roof) -> Row:
    """Several steps as one: their sums, and their shares of what the roof gives each of them."""
    row: Row = {"kind": what, "steps": len(of)}
    for name in ADDED:
        if all(name in step for step in of):
            row[name] = sum(step[name] for step in of)
    for name in FRAMEWORKS:
        if f"{name}_ms" not in row or roof.shares(1, 1, 1.0)["share_of_roof"] is None:
            continue
        # The least time that the roof allows each step, over what they took.
        least = sum(step[f"{name}_share_of_roof"] * step[f"{name}_ms"] for step in of)
        row[f"{name}_share_of_roof"] = least / row[f"{name}_ms"]
    return row


def _whole(record: Record, sums: Row) -> Row:
    """The whole pass, and what of it is in no step, by framework."""
    row: Row = {"kind": "whole pass"}
    for side in record["sides"]:
        if not side["error"]:
            name = side["framework"]
            times = [np.array(process["device_ns"]) for process in side["processes"]]
            row[f"{name}_ms"] = stats.typical(times) / 1e6
            if f"{name}_ms" in sums:
                row[f"{name}_between_ms"] = row[f"{name}_ms"] - sums[f"{name}_ms"]
    if all(f"{name}_ms" in row for name in FRAMEWORKS):
        torch, paddle = (row[f"{name}_ms"] for name in FRAMEWORKS)
        row["difference_ms"] = paddle - torch
    return row


def totals(record: Record) -> list[Row]:
    """A row per kind of step, one for all steps, and one for the whole pass.

    The whole pass has ``torch_between_ms`` and so on: what is lost between the steps, negative
    where a step alone is slower than in its place.
    """
    steps, roof = rows(record), roofs.roof(record, "fp32")
    kinds = [[row for row in steps if row["kind"] == kind] for kind in costs.KINDS]
    sums = [_summed(of[0]["kind"], of, roof) for of in kinds if of]
    every = _summed("all steps", steps, roof)
    return [*sums, every, _whole(record, every)]
