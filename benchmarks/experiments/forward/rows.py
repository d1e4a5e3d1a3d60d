"""From a record to the numbers of its tables: a row per cell, a ratio per pair of cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from benchmarks import stats
from benchmarks.devices import gpu_monitor
from benchmarks.grid.cells import BEST, IMPLEMENTATIONS, LABELS, PAIRS, RUNGS
from benchmarks.roofline import costs, roofs
from weight_port import arch

Row = dict[str, Any]


def samples(cell: Mapping[str, Any], clock: str) -> list[np.ndarray[Any, Any]]:
    """One array of nanoseconds per process of a cell."""
    return [np.array(process["samples"][clock]) for process in cell["processes"]]


def ran_batch(cell: Mapping[str, Any]) -> int:
    """Images per pass: the cell's batch, or what of it the memory held."""
    return int(cell.get("ran_batch", cell["batch"]))


def flops(cell: Mapping[str, Any]) -> int:
    """Floating-point operations of a forward pass: twice the multiply-adds of its batch."""
    size, batch = cell["size"], ran_batch(cell)
    return 2 * arch.multiply_adds(cell["model"], size, size) * int(batch)


def _worst(cell: Mapping[str, Any], measure: str) -> float | None:
    """The largest difference from the reference over a cell's processes."""
    values = [process["parity"][measure] for process in cell["processes"]]
    return max((value for value in values if value is not None), default=None)


def _median_ms(cell: Mapping[str, Any], key: str) -> float | None:
    """Median of what every process has once; None where an old record lacks it."""
    values = [process[key] for process in cell["processes"] if key in process]
    return float(np.median(values)) / 1e6 if values else None


def _notes(cell: Mapping[str, Any]) -> list[str]:
    """What happened beside the timing: a smaller batch, a GPU that was slowed or shared."""
    monitors = [process.get("monitor") for process in cell["processes"]]
    found = dict.fromkeys(text for seen in monitors for text in gpu_monitor.warnings(seen))
    if ran_batch(cell) != cell["batch"]:
        return [f"out of memory: ran at batch {ran_batch(cell)}", *found]
    return list(found)


def _milliseconds(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6


def _shares(cell: Mapping[str, Any], ns: float, roof: roofs.Roof) -> Row:
    """GFLOP/s, shares of the machine's peaks, and which of them binds."""
    size = (cell["size"], ran_batch(cell), cell["precision"])
    found = roof.shares(flops(cell), costs.forward_bytes(cell["model"], *size), ns)
    del found["share_of_roof"]  # the one of its bound
    return found


def _speed(cell: Mapping[str, Any], roof: roofs.Roof) -> Row:
    """The timed columns of a cell that passed parity."""
    device, wall, enqueue = (samples(cell, f"{c}_ns") for c in ("device", "wall", "enqueue"))
    summary, typical = stats.summarise(device), stats.typical(device)
    # Of all samples, and so below the typical time where most of them are of fast processes.
    above = [p if p and p >= typical else None for p in (summary.p90, summary.p95, summary.p99)]
    p90, p95, p99 = map(_milliseconds, above)
    notes = [*_notes(cell), *stats.contradictions(summary), *stats.warnings(summary)]
    if cell["device"] == "gpu" and stats.launch_bound(enqueue, device):
        notes.append("launch-bound")
    return {
        "median_ms": typical / 1e6,
        "p90_ms": p90,
        "p95_ms": p95,
        "p99_ms": p99,
        "spread": summary.spread,
        "between": summary.between,
        "wall_ms": stats.typical(wall) / 1e6,
        "enqueue_ms": stats.typical(enqueue) / 1e6,
        "prepare_ms": _median_ms(cell, "prepare_ns"),
        "first_call_ms": _median_ms(cell, "first_call_ns"),
        "images_per_s": ran_batch(cell) * 1e9 / typical,
        **_shares(cell, typical, roof),
        "processes": summary.processes,
        "samples": summary.samples,
        "notes": notes,
    }


def rows(record: Mapping[str, Any]) -> list[Row]:
    """A row per cell. One that failed has its error, its difference if known, and no speed."""
    table = []
    for entry in record["cells"]:
        cell = {**entry, "device": record["settings"]["device"]}
        row: Row = {label: cell[label] for label in LABELS}
        row |= {name: _worst(cell, name) for name in ("max_abs", "relative_l2")}
        row["error"] = cell["error"]
        if cell["error"] is None:
            row |= _speed(cell, roofs.roof(record, cell["precision"]))
        table.append(row)
    return table


def harness(record: Mapping[str, Any]) -> float | None:
    """The run's wall time over that of its cells' processes; None where a record lacks them.

    What is above 1 is the harness: references, peaks, the network's ONNX, and starting processes.
    """
    cells = [process for cell in record["cells"] for process in cell["processes"]]
    spent = sum(process.get("process_ns", 0) for process in cells)
    wall = record["settings"].get("wall_ns")
    return wall / spent if wall and spent else None


def rounds(cell: Mapping[str, Any]) -> list[int]:
    """The rounds of a cell's processes, in the order of ``samples``."""
    return [process["round"] for process in cell["processes"]]


def compared(top: Mapping[str, Any], bottom: Mapping[str, Any]) -> stats.Ratio | None:
    """The ratio of two cells of one record, round by round where both ran in the same ones."""
    paired = rounds(top) == rounds(bottom)
    return stats.ratio(samples(top, "device_ns"), samples(bottom, "device_ns"), paired)


_UNITS = {"threads": " threads", "size": " px"}


def _name(cell: Mapping[str, Any], *labels: str) -> str:
    """A cell's implementation with labels that tell it from others in the table."""
    values = (f"{cell[label]}{_UNITS.get(label, '')}" for label in labels)
    return " ".join([cell["implementation"], *values])


def _ratio(top: Mapping[str, Any], bottom: Mapping[str, Any], *labels: str) -> list[Row]:
    """The ratio of two cells' times as a row; none where it must not be quoted."""
    if top["error"] or bottom["error"] or ran_batch(top) != ran_batch(bottom):
        return []
    ratio = compared(top, bottom)
    if not ratio:
        return []
    row = {key: top[key] for key in ("model", "batch", "rung", "precision")}
    row |= {"numerator": _name(top, *labels), "denominator": _name(bottom, *labels)}
    row |= {"ratio": ratio.value, "low": ratio.low, "high": ratio.high}
    return [{**row, "verdict": ratio.verdict}]


_SAID = ("mode", "layout", "threads", "allocator", "size")


def _alike(cells: list[dict[str, Any]]) -> Iterator[Row]:
    """Cells of a rung that differ in one label: implementation, layout or allocator."""
    by_key = {_key(cell, cell["implementation"]): cell for cell in cells}
    # What has no column of its own is said where a network's rows don't all have the same.
    values = {label: {(cell["model"], cell[label]) for cell in cells} for label in _SAID}
    models = {cell["model"] for cell in cells}
    labels = [label for label in _SAID if len(values[label]) > len(models)]
    for cell in cells:
        for numerator, denominator in PAIRS:
            other = by_key.get(_key(cell, denominator))
            if cell["implementation"] == numerator and other:
                yield from _ratio(cell, other, *labels)
        for label, usual in (("layout", "NCHW"), ("allocator", "default")):
            plain = by_key.get(_key({**cell, label: usual}, cell["implementation"]))
            if cell[label] != usual and plain:
                yield from _ratio(cell, plain, *labels)


def _best(cells: list[dict[str, Any]]) -> Iterator[Row]:
    """Each framework's fastest row against the engines' fastest, and Paddle's against torch's.

    Only within one model, batch, size, precision and number of threads.
    """
    same = ("model", "batch", "size", "threads", "precision")
    groups: dict[tuple[Any, ...], dict[str, list[dict[str, Any]]]] = {}
    for cell in cells:
        if not cell["error"]:
            group = groups.setdefault(tuple(cell[label] for label in same), {})
            group.setdefault(IMPLEMENTATIONS[cell["implementation"]], []).append(cell)
    for group in groups.values():
        best = {name: min(rows, key=_median) for name, rows in group.items()}
        for top, bottom in (("torch", "engines"), ("paddle", "engines"), ("paddle", "torch")):
            if top in best and bottom in best:
                yield from _ratio(best[top], best[bottom], "mode", "layout")


def _median(cell: Mapping[str, Any]) -> float:
    return stats.typical(samples(cell, "device_ns"))


def ratios(record: Mapping[str, Any]) -> list[Row]:
    """Ratios of times within a rung, with enough processes; never across rungs.

    Pairs of cells that differ in one label; in the best-effort rung, each framework's fastest.
    """
    cells = [cell for cell in record["cells"] if cell["implementation"] in IMPLEMENTATIONS]
    quoted: list[Row] = []
    for rung in RUNGS:
        of = [cell for cell in cells if cell["rung"] == rung]
        quoted += _best(of) if rung == BEST else _alike(of)
    return quoted


def _key(cell: Mapping[str, Any], implementation: str) -> tuple[Any, ...]:
    same = (label for label in LABELS if label != "implementation")
    return (*(cell[label] for label in same), implementation)
