"""The table of the selftest: how often a difference was seen, and the targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.experiments.selftest.rows import SAME, Row, rates
from benchmarks.records.tables import Column, Table, fixed, interval, percent, software

Record = Mapping[str, Any]


def _pairs(row: Row) -> str:
    return "equal: false alarms" if row["name"] == SAME else f"{row['percent']} % slower: found"


def _target(row: Row) -> str:
    if row["reached"] is None:
        return ""
    if row["at_least"]:
        return f"at least {row['at_least']:.0%}"
    return f"at most {row['at_most']:.0%}"


COLUMNS = (
    Column("pairs", None, _pairs, left=True),
    Column("seen", None, lambda row: f"{row['called']} of {row['groups']}"),
    Column("share", "share", percent(1)),
    Column("95 % interval", None, interval(percent(1))),
    Column("typical ratio", "ratio", fixed(3)),
    Column("target", None, _target),
    Column("reached", "reached", none=""),
)


def tables(record: Record) -> list[Table]:
    """How often a difference was seen, with Wilson's 95 % interval, and the targets."""
    return [Table("rates", COLUMNS, rates(record))]


def notes(record: Record) -> list[str]:
    """Where, with what and how it was measured."""
    context, settings = record["context"], record["settings"]
    system = context["system"]
    legend = (
        f"{system['cpu']}, {system['cores']} cores, load {system['load'][0]} at the start. "
        f"{software(record)}. {context['date']}. {settings['rounds']} processes per side of a "
        f"pair; products of {settings['size']}×{settings['size']} matrices."
    )
    return [legend]
