"""The table of latency scenarios: a row per cell, scenario and load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks import stats
from benchmarks.experiments.latency.rows import rows
from benchmarks.experiments.latency.scenarios import CAPACITY, SCENARIOS
from benchmarks.records.tables import (
    NONE,
    NOTE,
    Column,
    Table,
    label,
    machine,
    number,
    percent,
    shown,
)

Record = Mapping[str, Any]


def figure(row: Mapping[str, Any]) -> str:
    """What the scenario is about, in words; a withheld percentile says what it lacks."""
    if row["error"]:
        return NONE
    percentile = SCENARIOS[row["scenario"]].percentile
    if percentile is None:
        return f"{row['images_per_s']:.1f} images/s"
    value = row[f"p{percentile}_ms"]
    if value is None:
        needed = stats.needed(percentile)
        return f"p{percentile} withheld: {row['queries']} of {needed} queries"
    return f"p{percentile} {value:.1f} ms"


COLUMNS = (
    label("scenario"),
    label("implementation"),
    label("mode"),
    Column("batch", "batch"),
    Column("load", "load", percent()),
    Column("offered/s", "offered_per_s", number(1)),
    Column("figure", None, figure, left=True),
    Column("images/s", "images_per_s", number(1)),
    Column("p50 ms", "p50_ms", number(1)),
    Column("p90 ms", "p90_ms", number(1)),
    Column("p99 ms", "p99_ms", number(1)),
    Column("mean wait ms", "wait_ms", number(1)),
    Column("in theory", "expected_wait_ms", number(1)),
    Column("busy", "busy", percent()),
    NOTE,
)


def tables(record: Record) -> list[Table]:
    """The rows; no column of dashes where no scenario has such a number."""
    found = rows(record)
    return [Table("rows", shown(COLUMNS, found), found)]


def notes(record: Record) -> list[str]:
    """Where, with what and how it was measured, and what the columns mean."""
    return [machine(record), _terms(record)]


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
