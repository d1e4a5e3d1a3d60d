"""The rows of trainings: what makes their record unsound."""

from __future__ import annotations

from benchmarks.records.record import Record


def unsound(record: Record) -> list[str]:
    """Rows that claim to have gone well and lack processes or trainings that were asked for."""
    settings, found = record["settings"], []
    for index, row in enumerate(record["rows"]):
        where = f"record.rows[{index}]"
        if row["error"] is not None:
            continue
        for part, wanted in (("processes", "rounds"), ("accuracies", "seeds")):
            if len(row[part]) != settings[wanted]:
                found.append(f"{where}: {len(row[part])} {part} of {settings[wanted]}")
    return found
