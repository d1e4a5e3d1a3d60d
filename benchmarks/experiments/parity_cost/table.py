"""The table of what parity costs: every command's time, the ratio and the memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.experiments.parity_cost.rows import costs
from benchmarks.records.tables import Column, Table, failure, fixed, interval, software
from benchmarks.stats import MIN_PROCESSES

Record = Mapping[str, Any]
Row = Mapping[str, Any]


def _what(row: Row) -> str:
    """What was measured, and what it should be; the memory's limit stands with its figure."""
    if row.get("ratio") is not None:
        return f"{row['name']} (at most {row['at_most']} ×)"
    if row.get("peak_bytes") is not None:
        return f"{row['name']} (under {row['under_bytes'] / 1e6:.0f} MB)"
    return str(row["name"])


def _measured(row: Row) -> str:
    if row["error"]:
        return failure(row)
    if row.get("ratio") is not None:
        return f"{row['ratio']:.2f} ×"
    if row.get("peak_bytes") is not None:
        return f"{row['peak_bytes'] / 1e6:.0f} MB"
    return f"{row['seconds']:.2f} s"


def _interval(row: Row) -> str:
    if row.get("low") is None:
        return ""
    unit = " s" if row.get("seconds") is not None else ""
    return str(interval(fixed(2))(row)) + unit


COLUMNS = (
    Column("", None, _what, left=True),
    Column("median", None, _measured),
    Column("from, to", None, _interval),
    Column("reached", "reached", none=""),
)


def tables(record: Record) -> list[Table]:
    """Every command's time, the ratio and the memory with what they should be."""
    return [Table("costs", COLUMNS, costs(record))]


def notes(record: Record) -> list[str]:
    """Where, with what and how it was measured."""
    settings = record["settings"]
    few = f"No ratio: it needs {MIN_PROCESSES} processes per command (--rounds)."
    return [legend(record), *([few] if settings["rounds"] < MIN_PROCESSES else [])]


def legend(record: Record) -> str:
    """The machine, the software and the settings."""
    context, settings = record["context"], record["settings"]
    return (
        f"{context['system']['cpu']}, {context['system']['cores']} cores. {software(record)}. "
        f"{context['date']}. {settings['model']}, batch {settings['batch']}, "
        f"{settings['size']} px, {' and '.join(settings['precisions'])}; {settings['rounds']} "
        "processes per command."
    )
