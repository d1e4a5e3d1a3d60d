"""The tables of conversions: commands, targets, the parts of a conversion, and memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.experiments.port import rows
from benchmarks.experiments.port.cases import ANONYMOUS
from benchmarks.records.record import reason
from benchmarks.records.tables import Column, Table, fixed, interval, software
from benchmarks.stats import MIN_PROCESSES

Record = Mapping[str, Any]
Row = Mapping[str, Any]

_interval = interval(fixed(3))

COMMANDS = (
    Column("command", "name", left=True),
    # A command that failed has its error in place of its time.
    Column("median s", None, lambda row: "FAILED" if row["error"] else f"{row['seconds']:.3f}"),
    Column("from, to", None, lambda row: reason(row["error"]) if row["error"] else _interval(row)),
    Column("CPU s", "cpu_seconds", fixed(3)),
)


def _what(row: Row) -> str:
    """What is set against what: one command's time against another's, or against a sum."""
    return f"{row['top']} / {row['bottom']}" if row.get("bottom") else str(row["top"])


def _measured(row: Row) -> str:
    """Bytes; or a ratio with its interval; or, against a sum of several, both sides' seconds."""
    if row.get("seconds") is None:
        return f"{(row['peak_bytes'] or 0) / 1e6:.0f} MB"
    if row["factor"] is None:
        return f"{row['seconds']:.3f} s of {row['limit']:.3f} s"
    share, low, high = (row[key] * row["factor"] for key in ("share", "low", "high"))
    return f"{share:.2f} × ({low:.2f} to {high:.2f})"


TARGETS = (
    Column("", None, _what, left=True),
    Column("measured", None, _measured),
    Column("target", "target"),
    Column("reached", "reached"),
)


def tables(record: Record) -> list[Table]:
    """The four tables."""
    commands = Table("commands", COMMANDS, rows.commands(record))
    return [commands, targets(record), parts(record), memory(record)]


def targets(record: Record) -> Table:
    """What was to be reached, and was it."""
    return Table("targets", TARGETS, [*rows.targets(record), *_memory_target(record)])


def _memory_target(record: Record) -> list[dict[str, Any]]:
    if not record["memory"]:
        return []
    most = rows.worst(record)
    what = f"anonymous memory, most of {most['pairs']} pairs of formats"
    row = {"top": what, "target": f"under {ANONYMOUS / 1e6:.0f} MB", "at_least": False}
    return [{**row, "peak_bytes": most["peak_bytes"], "reached": most["reached"]}]


def parts(record: Record) -> Table:
    """Mean milliseconds of a conversion's parts."""
    found = rows.parts(record)
    names = [name for name in (found[0] if found else {}) if name != "name"]
    columns = [Column(name, name, fixed(0)) for name in names]
    return Table("parts", [Column("mean ms", "name", left=True), *columns], found)


def memory(record: Record) -> Table:
    """Peak anonymous memory in MB: a row per source, a column per destination."""
    found = rows.memory(record)
    names = [name for name in (found[0] if found else {}) if name != "source"]
    columns = [Column(name, name, fixed(0, unit=1e6), none="FAILED") for name in names]
    return Table("memory", [Column("peak MB, from \\ to", "source", left=True), *columns], found)


def notes(record: Record) -> list[str]:
    """Where, with what and how it was measured."""
    few = f"No ratios: they need {MIN_PROCESSES} processes per command (--rounds)."
    return [*([few] if record["settings"]["rounds"] < MIN_PROCESSES else []), legend(record)]


def legend(record: Record) -> str:
    """The machine, the software and the settings."""
    context, settings = record["context"], record["settings"]
    return (
        f"{context['system']['cpu']}, {context['system']['cores']} cores, Python "
        f"{context['system']['python']}. {software(record)}. {context['date']}. "
        f"{settings['model']}, {settings['bytes'] / 1e6:.0f} MB, saved by Paddle. "
        f"{settings['rounds']} processes per command."
    )
