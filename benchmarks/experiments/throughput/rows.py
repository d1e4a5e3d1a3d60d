"""The rows of several processes at once: images per second, and how they scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Record = Mapping[str, Any]


def images_per_second(ranks: Sequence[Mapping[str, Any]], batch: int, passes: int) -> float:
    """All ranks' images over the time from the first one's begin to the last one's end."""
    begin: int = min(rank["begin_ns"] for rank in ranks)
    end: int = max(rank["end_ns"] for rank in ranks)
    return len(ranks) * batch * passes * 1e9 / (end - begin)


def speeds(record: Mapping[str, Any], row: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """Images per second of every run of a row."""
    settings = record["settings"]
    return np.array(
        [
            images_per_second(run["ranks"], settings["batch"], settings["passes"])
            for run in row["runs"]
        ]
    )


def scaling(record: Mapping[str, Any], row: Mapping[str, Any]) -> float | None:
    """The row's speed over what as many of its framework's single processes would give.

    1: they don't disturb each other. None for a single process, and where one of the two failed.
    """
    alone = next(r for r in record["rows"] if r["framework"] == row["framework"])
    if row["workers"] == 1 or row["error"] or alone["error"]:
        return None
    speed_alone = float(np.median(speeds(record, alone)))
    return float(np.median(speeds(record, row)) / (row["workers"] * speed_alone))


def rows(record: Record) -> list[dict[str, Any]]:
    """A row per framework and number of processes; one that failed has its error and no speed."""
    table = []
    for row in record["rows"]:
        line: dict[str, Any] = {key: row[key] for key in ("framework", "workers")}
        if not row["error"]:
            each = speeds(record, row)
            line |= {"images_per_s": float(np.median(each))}
            line |= {"low": float(each.min()), "high": float(each.max())}
            line |= {"scaling": scaling(record, row), "runs": len(each)}
        table.append({**line, "error": row["error"]})
    return table
