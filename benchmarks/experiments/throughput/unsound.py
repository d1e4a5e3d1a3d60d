"""What makes a record of several processes unsound: more than its schema can say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.harness.worker import refused
from benchmarks.records import sound


def unsound(record: Mapping[str, Any]) -> list[str]:
    """Rows that claim to have gone well without a run; runs that lack a rank or ran backward."""
    return sound.in_each(record, "rows", _row)


def _row(row: Mapping[str, Any]) -> Iterator[str]:
    if row["error"] is None and not row["runs"]:
        yield "no error, and no runs"
    yield from sound.repeated(row["runs"], "round")
    for run in row["runs"]:
        if len(run["ranks"]) != row["workers"]:
            yield f"{len(run['ranks'])} ranks of {row['workers']} processes"
        if any(rank["end_ns"] <= rank["begin_ns"] for rank in run["ranks"]):
            yield "a rank ended before it began"
        if row["error"] is None:
            reasons = [refused(rank["parity"], "fp32") for rank in run["ranks"]]
            yield from filter(None, reasons)
