"""Tables from a record of the throughput of several processes, in the formats of ``table``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from tabulate import tabulate

from benchmarks.experiments.throughput.rows import Record, rows
from benchmarks.records.tables import machine


def _line(row: Mapping[str, Any]) -> list[str]:
    if row["error"]:
        said = "FAILED " + row["error"].strip().splitlines()[-1]
        return [row["framework"], str(row["workers"]), "–", "–", "–", said]
    share = "–" if row["scaling"] is None else f"{row['scaling']:.0%}"
    between = f"{row['low']:.1f} to {row['high']:.1f}"
    return [
        row["framework"],
        str(row["workers"]),
        f"{row['images_per_s']:.1f}",
        between,
        share,
        "",
    ]


def _page(record: Record, style: str) -> str:
    settings = record["settings"]
    headers = ["framework", "processes", "images/s", "from, to", "scaling", "note"]
    align = ("left", "right", "right", "right", "right", "left")
    lines = [_line(row) for row in rows(record)]
    made = tabulate(lines, headers, tablefmt=style, colalign=align, disable_numparse=True)
    what = (
        f"{settings['model']}, eager float32, {settings['batch']} images a pass and process, "
        f"{settings['passes']} passes, {settings['threads']} threads a process. Scaling: over as "
        "many single processes."
    )
    return f"{made}\n\n{machine(record)}\n\n{what}"


def _csv(record: Record) -> str:
    names = ["framework", "workers", "images_per_s", "low", "high", "scaling", "runs", "error"]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(record))
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
