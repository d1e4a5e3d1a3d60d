"""A grid of columns in the formats that tables have, and what is said of every record below it."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from tabulate import tabulate


def number(digits: int) -> Callable[[Any], str]:
    return lambda value: f"{value:,.{digits}f}"


def percent(value: Any) -> str:
    return f"{value:.1%}"


# Heading, key in a row, how to write its value.
Column = tuple[str, str, Callable[[Any], str]]


def grid(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], left: Container[str], style: str
) -> str:
    """The rows' values as ``columns`` write them; keys in ``left`` are aligned so, others right."""
    lines = [
        [write(row[key]) if row.get(key) is not None else "–" for _, key, write in columns]
        for row in rows
    ]
    return tabulate(
        lines,
        headers=[heading for heading, _, _ in columns],
        tablefmt=style,
        disable_numparse=True,
        colalign=["left" if key in left else "right" for _, key, _ in columns],
    )


def software(record: Mapping[str, Any]) -> str:
    """The frameworks and libraries of a record with their versions."""
    said = record["context"]["frameworks"].values()
    versions = {name: version for one in said for name, version in one["versions"].items()}
    return ", ".join(f"{name} {version}" for name, version in versions.items() if version)


def machine(record: Mapping[str, Any]) -> str:
    """Where, with what and when a record was measured, in a line."""
    context, settings = record["context"], record["settings"]
    device = context["gpu"] or f"{context['system']['cpu']}, {settings['threads']} threads"
    return f"{settings['device']}: {device}. {software(record)}. {context['date']}."
