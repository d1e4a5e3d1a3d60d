"""Tables from a record of a network's steps, in the formats of ``table``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from benchmarks.experiments.layers.rows import FRAMEWORKS, Row, by_difference, rows, totals
from benchmarks.records import tables
from benchmarks.roofline import roofs
from benchmarks.stats import MIN_PROCESSES

Record = Mapping[str, Any]

SORTS: dict[str, Callable[[list[Row]], list[Row]]] = {
    "order": list,
    "difference": by_difference,
}
_NAMES = {"torch": "torch", "paddle": "Paddle"}
Column = tuple[str, str, Callable[[Any], str]]


def _number(digits: int, over: float = 1.0) -> Callable[[Any], str]:
    return lambda value: f"{value / over:,.{digits}f}"


def _signed(value: Any) -> str:
    return f"{value:+.3f}"


def _share(value: Any) -> str:
    return f"{value:.0%}"


def _each(heading: str, key: str, write: Callable[[Any], str]) -> tuple[Column, ...]:
    """A column of every framework."""
    return tuple((f"{_NAMES[n]} {heading}", f"{n}_{key}", write) for n in FRAMEWORKS)


_TIMES: tuple[Column, ...] = (
    ("MFLOP", "flops", _number(1, 1e6)),
    ("MB", "bytes", _number(2, 1e6)),
    *_each("ms", "ms", _number(3)),
    ("difference ms", "difference_ms", _signed),
)
COLUMNS: tuple[Column, ...] = (
    ("layer", "name", str),
    ("step", "kind", str),
    *_TIMES,
    ("Paddle / torch", "ratio", _number(2)),
    ("verdict", "verdict", str),
    *_each("GFLOP/s", "gflops", _number(1)),
    *_each("of roof", "share_of_roof", _share),
    ("bound", "bound", str),
    ("note", "note", str),
)
TOTALS: tuple[Column, ...] = (
    ("step", "kind", str),
    ("steps", "steps", str),
    *_TIMES,
    *_each("of roof", "share_of_roof", _share),
    *_each("between ms", "between_ms", _signed),
)
_TEXT = {"name", "kind", "verdict", "bound", "note"}


def _grid(found: Sequence[Row], columns: Sequence[Column], style: str) -> str:
    """A table of the columns that some row has."""
    shown = [column for column in columns if any(row.get(column[1]) is not None for row in found)]
    lines = [
        [write(row[key]) if row.get(key) is not None else "–" for _, key, write in shown]
        for row in found
    ]
    return tabulate(
        lines,
        headers=[heading for heading, _, _ in shown],
        tablefmt=style,
        disable_numparse=True,
        colalign=["left" if key in _TEXT else "right" for _, key, _ in shown],
    )


def _noted(row: Row) -> Row:
    """A failed step says so in place of its speed."""
    error = row["error"]
    return {**row, "note": f"FAILED {error.strip().splitlines()[-1]}" if error else None}


def steps(record: Record, style: str, sort: str = "order") -> str:
    """A line per step."""
    return _grid([_noted(row) for row in SORTS[sort](rows(record))], COLUMNS, style)


def kinds(record: Record, style: str) -> str:
    """A line per kind of step, one for all of them, and one for the whole pass."""
    return _grid(totals(record), TOTALS, style)


def legend(record: Record) -> str:
    """Where, with what and how it was measured, and what the columns mean."""
    settings, roof = record["settings"], roofs.roof(record, "fp32")
    what = (
        f"{settings['model']}, eager float32, {settings.get('layout', 'NCHW')}, "
        f"batch {settings['batch']} at {settings['size']} px, "
        f"rounds: {settings['rounds']}, a process of each framework in each. A step is timed by "
        "itself on its real input, which its own repetitions leave in the caches; ms are medians "
        "of all samples. Between: the whole pass less its steps, negative where a step alone is "
        "slower."
    )
    known = roof.gflops is not None and roof.gbytes_per_s is not None
    roofed = (
        f" Roof: {roof.gflops:,.0f} GFLOP/s and {roof.gbytes_per_s:.1f} GB/s, the run's best "
        "product or convolution and copy of either framework; a step's share is of the least time "
        "that they allow it, and can pass 100 % where its data stay in the caches."
        if known
        else ""
    )
    many = (
        " Verdicts are at 95 % each: of a hundred equal steps, five would differ."
        if settings["rounds"] >= MIN_PROCESSES
        else f" No verdicts: they need {MIN_PROCESSES} processes (--rounds)."
    )
    return f"{tables.machine(record)}\n\n{what}{roofed}{many}"


def _page(record: Record, style: str, sort: str) -> str:
    return "\n\n".join([steps(record, style, sort), kinds(record, style), legend(record)])


def _csv(record: Record, sort: str) -> str:
    """The steps in full precision; the totals are in the other formats."""
    found = SORTS[sort](rows(record))
    names = list(dict.fromkeys(name for row in found for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return stream.getvalue().rstrip("\n")


def _json(record: Record, sort: str) -> str:
    made = {"steps": SORTS[sort](rows(record)), "totals": totals(record)}
    return json.dumps(made, indent=1, allow_nan=False)


FORMATS: dict[str, Callable[[Record, str], str]] = {
    "simple": lambda record, sort: _page(record, "simple", sort),
    "github": lambda record, sort: _page(record, "github", sort),
    "csv": _csv,
    "json": _json,
}


def render(record: Record, style: str, sort: str = "order") -> str:
    """A record as text; ``style`` is a key of FORMATS, ``sort`` one of SORTS."""
    return FORMATS[style](record, sort)
