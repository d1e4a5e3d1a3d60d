"""Tables from a record of what parity costs, in the formats of ``table``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks.experiments.parity_cost.measure import ANONYMOUS, FACTOR, PARITY
from benchmarks.experiments.parity_cost.rows import ratio
from benchmarks.records.tables import software
from benchmarks.stats import MIN_PROCESSES

Record = Mapping[str, Any]


def _rows(record: Record) -> list[list[str]]:
    rows = []
    for row in record["commands"]:
        if row["error"]:
            rows.append([row["name"], "FAILED " + row["error"].strip().splitlines()[-1], "", ""])
            continue
        seconds = np.array(row["wall_ns"]) / 1e9
        spread = f"{seconds.min():.2f} to {seconds.max():.2f} s"
        rows.append([row["name"], f"{np.median(seconds):.2f} s", spread, ""])
    return rows


def _targets(record: Record) -> list[list[str]]:
    rows = []
    if found := ratio(dict(record)):
        reached = "yes" if found.high <= FACTOR else "no" if found.low > FACTOR else "undecided"
        measured = f"{found.value:.2f} ×"
        interval = f"{found.low:.2f} to {found.high:.2f}"
        rows.append([f"{PARITY} / both alone (at most {FACTOR} ×)", measured, interval, reached])
    memory = record["memory"]
    if memory["error"]:
        rows.append([f"memory of the parent, {memory['model']}", "FAILED", "", "no"])
    else:
        reached = "yes" if memory["peak_bytes"] < ANONYMOUS else "no"
        what = f"memory of the parent, {memory['model']} (under {ANONYMOUS / 1e6:.0f} MB)"
        rows.append([what, f"{memory['peak_bytes'] / 1e6:.0f} MB", "", reached])
    return rows


def costs(record: Record, style: str) -> str:
    """Every command's time, the ratio and the memory with what they should be."""
    headers = ["", "median", "from, to", "reached"]
    align = ["left", "right", "right", "right"]
    lines = _rows(record) + _targets(record)
    return tabulate(lines, headers, tablefmt=style, disable_numparse=True, colalign=align)


def legend(record: Record) -> str:
    """Where, with what and how it was measured."""
    context, settings = record["context"], record["settings"]
    return (
        f"{context['system']['cpu']}, {context['system']['cores']} cores. {software(record)}. "
        f"{context['date']}. {settings['model']}, batch {settings['batch']}, "
        f"{settings['size']} px, {' and '.join(settings['precisions'])}; {settings['rounds']} "
        "processes per command."
    )


def _page(record: Record, style: str) -> str:
    page = [costs(record, style), legend(record)]
    if record["settings"]["rounds"] < MIN_PROCESSES:
        page.append(f"No ratio: it needs {MIN_PROCESSES} processes per command (--rounds).")
    return "\n\n".join(page)


FORMATS: dict[str, Callable[[Record], str]] = {
    "simple": lambda record: _page(record, "simple"),
    "github": lambda record: _page(record, "github"),
    "json": lambda record: json.dumps([*_rows(record), *_targets(record)], indent=1),
}


def render(record: Record, style: str) -> str:
    """A record as text; a table that has no form in ``style`` comes as plain text."""
    return FORMATS.get(style, FORMATS["simple"])(record)
