"""Tables from a record of latency scenarios, in the formats of ``table``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from tabulate import tabulate

from benchmarks.experiments.latency.rows import rows
from benchmarks.experiments.latency.scenarios import CAPACITY
from benchmarks.records.tables import machine

Record = Mapping[str, Any]
Column = tuple[str, str, Callable[[Any], str]]  # heading, key in a row, how to write its value


def _number(digits: int) -> Callable[[Any], str]:
    return lambda value: f"{value:,.{digits}f}"


def _percent(value: Any) -> str:
    return f"{value:.0%}"


COLUMNS: tuple[Column, ...] = (
    ("scenario", "scenario", str),
    ("implementation", "implementation", str),
    ("mode", "mode", str),
    ("batch", "batch", str),
    ("load", "load", _percent),
    ("offered/s", "offered_per_s", _number(1)),
    ("figure", "figure", str),
    ("images/s", "images_per_s", _number(1)),
    ("p50 ms", "p50_ms", _number(1)),
    ("p90 ms", "p90_ms", _number(1)),
    ("p99 ms", "p99_ms", _number(1)),
    ("mean wait ms", "wait_ms", _number(1)),
    ("in theory", "expected_wait_ms", _number(1)),
    ("busy", "busy", _percent),
    ("note", "note", str),
)
_TEXT = {"scenario", "implementation", "mode", "figure", "note"}


def _note(row: Mapping[str, Any]) -> str:
    if row["error"]:
        return "FAILED " + str(row["error"].strip().splitlines()[-1])
    return "; ".join(row["notes"])


def _grid(record: Record, style: str) -> str:
    found = [{**row, "note": _note(row)} for row in rows(record)]
    # No column of dashes where no scenario has such a number.
    columns = [one for one in COLUMNS if any(row.get(one[1]) is not None for row in found)]
    lines = [
        [write(row[key]) if row.get(key) is not None else "–" for _, key, write in columns]
        for row in found
    ]
    return tabulate(
        lines,
        headers=[heading for heading, _, _ in columns],
        tablefmt=style,
        disable_numparse=True,
        colalign=["left" if key in _TEXT else "right" for _, key, _ in columns],
    )


def _terms(record: Record) -> str:
    settings = record["settings"]
    text = (
        f"{settings['model']}, {settings['rounds']} processes per row, {settings['queries']} "
        "queries (offline: images) in each. Images are on the device when a query comes. "
    )
    if "server" in settings["scenarios"]:
        text += (
            "Server: Poisson arrivals, one image each, one at a time in their order; latency from "
            "the moment for which a query was scheduled. Load: of the process' own capacity, by "
            f"{CAPACITY} queries one after the other; a row without one was offered a rate. In "
            "theory: Pollaczek and Khinchine's mean wait for such arrivals and services. Waits of "
            "neighbours depend on each other, so a server's percentiles are less sure than their "
            "number of queries says. "
        )
    return text.strip()


def _page(record: Record, style: str) -> str:
    return "\n\n".join([_grid(record, style), machine(record), _terms(record)])


def _csv(record: Record) -> str:
    found = rows(record)
    names = list(dict.fromkeys(name for row in found for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "notes": "; ".join(row["notes"])} for row in found)
    return stream.getvalue().rstrip("\n")


FORMATS: dict[str, Callable[[Record], str]] = {
    "simple": lambda record: _page(record, "simple"),
    "github": lambda record: _page(record, "github"),
    "csv": _csv,
    "json": lambda record: json.dumps({"rows": rows(record)}, indent=1, allow_nan=False),
}


def render(record: Record, style: str) -> str:
    """A record as text; ``style`` is a key of FORMATS."""
    return FORMATS[style](record)
