"""From a record to the numbers of its tables: a row per cell, a ratio per pair of cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks import stats
from benchmarks.cells import PAIRS
from weight_port import arch

Row = dict[str, Any]


def samples(cell: Mapping[str, Any], clock: str) -> list[np.ndarray[Any, Any]]:
    """One array of nanoseconds per process of a cell."""
    return [np.array(process["samples"][clock]) for process in cell["processes"]]


def flops(cell: Mapping[str, Any]) -> int:
    """Floating-point operations of a forward pass: twice the multiply-adds of its batch."""
    size, batch = cell["size"], cell["batch"]
    return 2 * arch.multiply_adds(cell["model"], size, size) * int(batch)


def peaks(record: Mapping[str, Any], precision: str) -> list[Row]:
    """Each framework's fastest matrix product of the run, the fastest first.

    Rows of framework, n and GFLOP/s. Where one framework's is far below the other's, its matrix
    library is not at home on this processor, and its networks will show it too.
    """
    best: dict[str, Row] = {}
    for entry in record["peaks"]:
        for product in entry["products"] if entry["precision"] == precision else ():
            n, name = product["n"], entry["framework"]
            gflops = 2 * n**3 / min(product["device_ns"])
            if name not in best or gflops > best[name]["gflops"]:
                best[name] = {"framework": name, "n": n, "gflops": gflops}
    return sorted(best.values(), key=lambda row: -float(row["gflops"]))


def _worst(cell: Mapping[str, Any], measure: str) -> float | None:
    """The largest difference from the reference over a cell's processes."""
    values = [process["parity"][measure] for process in cell["processes"]]
    return max((value for value in values if value is not None), default=None)


def _speed(cell: Mapping[str, Any], roofs: list[Row]) -> Row:
    """The timed columns of a cell that passed parity."""
    device, wall, enqueue = (samples(cell, f"{c}_ns") for c in ("device", "wall", "enqueue"))
    summary = stats.summarise(device)
    gflops = flops(cell) / summary.median  # operations per nanosecond
    notes = [*stats.contradictions(summary), *stats.warnings(summary)]
    if cell["device"] == "gpu" and stats.launch_bound(enqueue, device):
        notes.append("launch-bound")
    return {
        "median_ms": summary.median / 1e6,
        "p90_ms": None if summary.p90 is None else summary.p90 / 1e6,
        "spread": summary.spread,
        "between": summary.between,
        "wall_ms": stats.pooled_median(wall) / 1e6,
        "enqueue_ms": stats.pooled_median(enqueue) / 1e6,
        "images_per_s": cell["batch"] * 1e9 / summary.median,
        "gflops": gflops,
        "share_of_peak": gflops / roofs[0]["gflops"] if roofs else None,
        "processes": summary.processes,
        "samples": summary.samples,
        "notes": notes,
    }


def rows(record: Mapping[str, Any]) -> list[Row]:
    """A row per cell. One that failed has its error, its difference if known, and no speed."""
    found = []
    for entry in record["cells"]:
        cell = {**entry, "device": record["settings"]["device"]}
        labels = ("model", "batch", "implementation", "size", "rung", "mode", "precision", "layout")
        row: Row = {label: cell[label] for label in labels}
        row |= {name: _worst(cell, name) for name in ("max_abs", "relative_l2")}
        row["error"] = cell["error"]
        if cell["error"] is None:
            row |= _speed(cell, peaks(record, cell["precision"]))
        found.append(row)
    return found


def ratios(record: Mapping[str, Any]) -> list[Row]:
    """Every pair of cells that differ in the implementation alone, with enough processes."""
    cells = {_key(cell, cell["implementation"]): cell for cell in record["cells"]}
    found = []
    for cell in record["cells"]:
        for numerator, denominator in PAIRS:
            other = cells.get(_key(cell, denominator))
            if cell["implementation"] != numerator or other is None:
                continue
            if cell["error"] or other["error"]:
                continue
            ratio = stats.ratio(samples(cell, "device_ns"), samples(other, "device_ns"))
            if ratio:
                row = {key: cell[key] for key in ("model", "batch")}
                row |= {"numerator": numerator, "denominator": denominator}
                row |= {"ratio": ratio.value, "low": ratio.low, "high": ratio.high}
                found.append({**row, "verdict": ratio.verdict})
    return found


def _key(cell: Mapping[str, Any], implementation: str) -> tuple[Any, ...]:
    same = ("model", "batch", "size", "rung", "mode", "precision", "layout")
    return (*(cell[label] for label in same), implementation)
