"""The tables of a network's steps: a row per step, and their sums by kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.experiments.layers.rows import FRAMEWORKS, Row, by_difference, rows, totals
from benchmarks.records.tables import (
    NONE,
    Column,
    Table,
    failure,
    label,
    machine,
    number,
    percent,
    shown,
)
from benchmarks.roofline import roofs
from benchmarks.stats import MIN_PROCESSES

Record = Mapping[str, Any]

SORTS: dict[str, Callable[[list[Row]], list[Row]]] = {
    "order": list,
    "difference": by_difference,
}
_NAMES = {"torch": "torch", "paddle": "Paddle"}


def _signed(value: Any) -> str:
    return f"{value:+.3f}"


def _each(heading: str, key: str, write: Callable[[Any], str]) -> tuple[Column, ...]:
    """A column of every framework."""
    return tuple(Column(f"{_NAMES[n]} {heading}", f"{n}_{key}", write) for n in FRAMEWORKS)


_STEP = Column("step", "kind", left=True)
_TIMES = (
    Column("MFLOP", "flops", number(1, unit=1e6)),
    Column("MB", "bytes", number(2, unit=1e6)),
    *_each("ms", "ms", number(3)),
    Column("difference ms", "difference_ms", _signed),
)
COLUMNS = (
    Column("layer", "name", left=True),
    _STEP,
    *_TIMES,
    Column("Paddle / torch", "ratio", number(2)),
    label("verdict"),
    *_each("GFLOP/s", "gflops", number(1)),
    *_each("of roof", "share_of_roof", percent()),
    label("bound"),
    # A failed step says so in place of its speed.
    Column("note", None, lambda row: failure(row) if row["error"] else NONE, left=True),
)
TOTALS = (
    _STEP,
    Column("steps", "steps"),
    *_TIMES,
    *_each("of roof", "share_of_roof", percent()),
    *_each("between ms", "between_ms", _signed),
)


def tables(record: Record, sort: str = "order") -> list[Table]:
    """A row per step, by a key of SORTS; one per kind of step, for all, and for the whole pass."""
    steps, sums = SORTS[sort](rows(record)), totals(record)
    return [
        Table("steps", shown(COLUMNS, steps), steps),
        Table("totals", shown(TOTALS, sums), sums),
    ]


def notes(record: Record) -> list[str]:
    """Where, with what and how it was measured, and what the columns mean."""
    settings = record["settings"]
    what = (
        f"{settings['model']}, eager float32, {settings.get('layout', 'NCHW')}, "
        f"batch {settings['batch']} at {settings['size']} px, "
        f"rounds: {settings['rounds']}, a process of each framework in each. A step is timed by "
        "itself on its real input, which its own repetitions leave in the caches; ms are geometric "
        "means of the processes' medians. Between: the whole pass less its steps, negative where a "
        "step alone is slower."
    )
    many = (
        " Verdicts are at 95 % each: of a hundred equal steps, five would differ."
        if settings["rounds"] >= MIN_PROCESSES
        else f" No verdicts: they need {MIN_PROCESSES} processes (--rounds)."
    )
    return [machine(record), what + _roof(record) + many]


def _roof(record: Record) -> str:
    """What a step's share is of; "" where the peaks were not measured."""
    roof = roofs.roof(record, "fp32")
    if roof.gflops is None or roof.gbytes_per_s is None:
        return ""
    return (
        f" Roof: {roof.gflops:,.0f} GFLOP/s and {roof.gbytes_per_s:.1f} GB/s, the run's best "
        "product or convolution and copy of either framework; a step's share is of the least time "
        "that they allow it, and can pass 100 % where its data stay in the caches."
    )
