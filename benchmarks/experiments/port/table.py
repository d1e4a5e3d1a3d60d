"""Tables from a record of conversions, in the formats of ``table``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from benchmarks.experiments.port import rows as port_rows
from benchmarks.experiments.port.cases import ANONYMOUS
from benchmarks.records.tables import software
from benchmarks.stats import MIN_PROCESSES

Record = Mapping[str, Any]


def _grid(headers: Sequence[str], lines: Sequence[Sequence[str]], style: str, text: int = 1) -> str:
    """A table whose first ``text`` columns are words."""
    align = ["left"] * text + ["right"] * (len(headers) - text)
    return tabulate(lines, headers, tablefmt=style, disable_numparse=True, colalign=align)


def commands(record: Record, style: str) -> str:
    """Every command's time, or its error in place of one."""
    lines = []
    for row in port_rows.commands(record):
        if row["error"]:
            lines.append([row["name"], "FAILED", row["error"].strip().splitlines()[-1], "–"])
            continue
        spread = f"{row['low']:.3f} to {row['high']:.3f}"
        lines.append([row["name"], f"{row['seconds']:.3f}", spread, f"{row['cpu_seconds']:.3f}"])
    return _grid(["command", "median s", "from, to", "CPU s"], lines, style)


def targets(record: Record, style: str) -> str:
    """What was to be reached, and was it."""
    lines = []
    for row in port_rows.targets(record):
        lines.append([_ratio(row), _measured(row), row["target"], row["reached"]])
    if record["memory"]:
        most = port_rows.worst(record)
        peak = f"{(most['peak_bytes'] or 0) / 1e6:.0f} MB"
        what = f"anonymous memory, most of {most['pairs']} pairs of formats"
        lines.append([what, peak, f"under {ANONYMOUS / 1e6:.0f} MB", most["reached"]])
    return _grid(["", "measured", "target", "reached"], lines, style)


def _ratio(row: Mapping[str, Any]) -> str:
    """What is set against what: one command's time against another's, or against a sum."""
    commands = [term["command"] for term in row["terms"]]
    return f"{row['top']} / {commands[0]}" if len(commands) == 1 else str(row["top"])


def _measured(row: Mapping[str, Any]) -> str:
    """The ratio with its interval; of a sum of several, both sides' seconds."""
    if len(row["terms"]) > 1:
        return f"{row['seconds']:.3f} s of {row['limit']:.3f} s"
    share, low, high = (row[key] * row["terms"][0]["factor"] for key in ("share", "low", "high"))
    return f"{share:.2f} × ({low:.2f} to {high:.2f})"


def parts(record: Record, style: str) -> str:
    """Mean milliseconds of a conversion's parts."""
    rows = port_rows.parts(record)
    names = [name for name in (rows[0] if rows else {}) if name != "name"]
    lines = [[row["name"], *(f"{row[name]:.0f}" for name in names)] for row in rows]
    return _grid(["mean ms", *names], lines, style)


def memory(record: Record, style: str) -> str:
    """Peak anonymous memory in MB: a line per source, a column per destination."""
    rows = port_rows.memory(record)
    names = [name for name in (rows[0] if rows else {}) if name != "source"]
    lines = [[row["source"], *(_megabytes(row[name]) for name in names)] for row in rows]
    return _grid(["peak MB, from \\ to", *names], lines, style)


def _megabytes(count: int | None) -> str:
    return "FAILED" if count is None else f"{count / 1e6:.0f}"


def legend(record: Record) -> str:
    """Where, with what and how it was measured."""
    context, settings = record["context"], record["settings"]
    return (
        f"{context['system']['cpu']}, {context['system']['cores']} cores, Python "
        f"{context['system']['python']}. {software(record)}. {context['date']}. "
        f"{settings['model']}, {settings['bytes'] / 1e6:.0f} MB, saved by Paddle. "
        f"{settings['rounds']} processes per command."
    )


def _page(record: Record, style: str) -> str:
    tables = (commands, targets, parts, memory)
    page = [table(record, style) for table in tables]
    if record["settings"]["rounds"] < MIN_PROCESSES:
        page.append(f"No ratios: they need {MIN_PROCESSES} processes per command (--rounds).")
    return "\n\n".join([*page, legend(record)])


def _csv(record: Record) -> str:
    stream = io.StringIO()
    names = ["name", "error", "seconds", "low", "high", "cpu_seconds", "processes"]
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(port_rows.commands(record))
    return stream.getvalue().rstrip("\n")


def _json(record: Record) -> str:
    tables = (port_rows.commands, port_rows.targets, port_rows.parts, port_rows.memory)
    found = {table.__name__: table(record) for table in tables}
    return json.dumps(found, indent=1, allow_nan=False)


FORMATS: dict[str, Callable[[Record], str]] = {
    "simple": lambda record: _page(record, "simple"),
    "github": lambda record: _page(record, "github"),
    "csv": _csv,
    "json": _json,
}


def render(record: Record, style: str) -> str:
    """A record as text; ``style`` is a key of FORMATS."""
    return FORMATS[style](record)
