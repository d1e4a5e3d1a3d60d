"""Tables from a record of the selftest, in the formats of ``table``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from tabulate import tabulate

from benchmarks.experiments.selftest.rows import SAME, Row, rates
from benchmarks.records.tables import software

Record = Mapping[str, Any]


def _what(row: Row) -> str:
    return "equal: false alarms" if row["name"] == SAME else f"{row['percent']} % slower: found"


def _target(row: Row) -> str:
    if row["reached"] is None:
        return ""
    if row["at_least"]:
        return f"at least {row['at_least']:.0%}"
    return f"at most {row['at_most']:.0%}"


def outcome(record: Record, style: str) -> str:
    """How often a difference was seen, with Wilson's 95 % interval, and the targets."""
    headers = ["pairs", "seen", "share", "95 % interval", "typical ratio", "target", "reached"]
    lines = [
        [
            _what(row),
            f"{row['called']} of {row['groups']}",
            f"{row['share']:.1%}",
            f"{row['low']:.1%} to {row['high']:.1%}",
            f"{row['ratio']:.3f}",
            _target(row),
            row["reached"] or "",
        ]
        for row in rates(record)
    ]
    align = ["left", *["right"] * (len(headers) - 1)]
    return tabulate(lines, headers, tablefmt=style, disable_numparse=True, colalign=align)


def legend(record: Record) -> str:
    """Where, with what and how it was measured."""
    context, settings = record["context"], record["settings"]
    system = context["system"]
    return (
        f"{system['cpu']}, {system['cores']} cores, load {system['load'][0]} at the start. "
        f"{software(record)}. {context['date']}. {settings['rounds']} processes per side of a "
        f"pair; products of {settings['size']}×{settings['size']} matrices."
    )


def _csv(record: Record) -> str:
    found = rates(record)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(found[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return stream.getvalue().rstrip("\n")


def _page(record: Record, style: str) -> str:
    return f"{outcome(record, style)}\n\n{legend(record)}"


FORMATS: dict[str, Callable[[Record], str]] = {
    "simple": lambda record: _page(record, "simple"),
    "github": lambda record: _page(record, "github"),
    "csv": _csv,
    "json": lambda record: json.dumps({"rates": rates(record)}, indent=1, allow_nan=False),
}


def render(record: Record, style: str) -> str:
    """A record as text; ``style`` is a key of FORMATS."""
    return FORMATS[style](record)
