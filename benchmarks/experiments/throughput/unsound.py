"""What makes a record of several processes unsound: more than its schema can say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.harness.worker import refused
from benchmarks.records import sound


def unsound(record: Mapping[str, Any]) -> list[str]:
    """Rows that claim to have gone well without a run; runs that lack a rank or ran backward."""
    problems = []
    for index, row in enumerate(record["rows"]):
        where = f"record.rows[{index}]"
        if row["error"] is None and not row["runs"]:
            problems.append(f"{where}: no error, and no runs")
        problems += [f"{where}: {what}" for what in sound.repeated(row["runs"], "round")]
        for run in row["runs"]:
            if len(run["ranks"]) != row["workers"]:
                problems.append(f"{where}: {len(run['ranks'])} ranks of {row['workers']} processes")
            if any(rank["end_ns"] <= rank["begin_ns"] for rank in run["ranks"]):
                problems.append(f"{where}: a rank ended before it began")
            if row["error"] is None:
                reasons = [refused(rank["parity"], "fp32") for rank in run["ranks"]]
                problems += [f"{where}: {what}" for what in reasons if what]
    return problems
