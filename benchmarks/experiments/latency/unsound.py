"""What makes a record of queries unsound: more than its schema can say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from benchmarks.experiments.latency.rows import moments
from benchmarks.harness.worker import network, refused
from benchmarks.records import sound


def unsound(record: Mapping[str, Any]) -> list[str]:
    """Rows that claim to have gone well without a query, and queries that can't have been."""
    return sound.in_each(record, "rows", _row)


def _row(row: Mapping[str, Any]) -> Iterator[str]:
    if row["error"] is None and not row["processes"]:
        yield "no error, and no processes"
    if what := network(row["model"], row["size"]):
        yield what
    yield from sound.repeated(row["processes"])
    for process in row["processes"]:
        if bool(process["parity"]["error"]) is bool(process["queries"]):
            yield "queries without parity, or parity without queries"
        elif process["queries"]:
            if what := refused(process["parity"], row["precision"]):
                yield what
            yield from _impossible(process["queries"])


def _impossible(asked: Mapping[str, list[int]]) -> list[str]:
    """What one server that takes queries in order can't have done."""
    scheduled, started, ended = (moments(asked, name) for name in ("scheduled", "started", "ended"))
    if not 0 < len(scheduled) == len(started) == len(ended):
        return ["a query lacks a moment, or there is none"]
    claims = {
        "a query was scheduled before the one ahead of it": np.any(np.diff(scheduled) < 0),
        "a query was begun before it came": np.any(started < scheduled),
        "a query ended before it began": np.any(ended <= started),
        "two queries were served at once": np.any(started[1:] < ended[:-1]),
    }
    return [claim for claim, holds in claims.items() if holds]
