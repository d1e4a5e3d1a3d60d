"""``weight-port dialects``, ``formats`` and ``architectures``: the tables as they stand."""

from __future__ import annotations

import argparse
from typing import Any

from weight_port import arch
from weight_port.dialects.keys import DIALECTS, keys
from weight_port.formats.table import FORMATS
from weight_port.terminal import say, say_json


def _dialects() -> list[dict[str, Any]]:
    rows = []
    for name, row in DIALECTS.items():
        names = list(keys(name, row.holds[0]))
        linear = "[out, in]" if row.torch else "[in, out]"
        rows.append(
            {
                "name": name,
                "linear weight": linear,
                "examples": [names[0], names[-1]],
                "verified": row.verified,
                "architectures": list(row.holds),
            }
        )
    return rows


def _formats() -> list[dict[str, Any]]:
    return [
        {
            "name": row.name,
            "suffixes": list(row.suffixes),
            "read": True,
            "written": row.written,
            "note": row.note,
        }
        for row in FORMATS.values()
    ]


def _architectures() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "image size": row.size,
            "classes": row.classes,
            "weighted layers": row.weighted_layers,
            "tensors": len(arch.parameters(name)),
            "parameters": arch.count_trainable(arch.parameters(name)),
            "multiply-adds": arch.multiply_adds(name),
        }
        for name, row in arch.ARCHITECTURES.items()
    ]


_TABLES = {"dialects": _dialects, "formats": _formats, "architectures": _architectures}


def run(args: argparse.Namespace) -> int:
    """Print a table; returns the exit status."""
    rows = _TABLES[args.command]()
    if args.json:
        say_json(rows)
        return 0
    cells = [[_cell(value) for value in row.values()] for row in rows]
    table = [list(rows[0]), *cells]
    widths = [max(len(line[column]) for line in table) for column in range(len(rows[0]) - 1)]
    for line in table:
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        say("  ".join([*padded, line[-1]]))
    return 0


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(value) or "(folder)"
    return f"{value:,}" if isinstance(value, int) else str(value)
