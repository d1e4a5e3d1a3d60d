"""The table of the throughput of several processes at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.experiments.throughput.rows import rows
from benchmarks.records.tables import (
    Column,
    Table,
    failure,
    fixed,
    interval,
    label,
    machine,
    percent,
)

Record = Mapping[str, Any]

COLUMNS = (
    label("framework"),
    Column("processes", "workers"),
    Column("images/s", "images_per_s", fixed(1)),
    Column("from, to", None, interval(fixed(1))),
    Column("scaling", "scaling", percent()),
    Column("note", None, lambda row: failure(row) if row["error"] else "", left=True),
)


def tables(record: Record) -> list[Table]:
    """A row per framework and number of processes."""
    return [Table("rows", COLUMNS, rows(record))]


def notes(record: Record) -> list[str]:
    """Where, with what and how it was measured."""
    settings = record["settings"]
    terms = (
        f"{settings['model']}, eager float32, {settings['batch']} images a pass and process, "
        f"{settings['passes']} passes, {settings['threads']} threads a process. Scaling: over as "
        "many single processes."
    )
    return [machine(record), terms]
