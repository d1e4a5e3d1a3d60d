"""What makes a record of trainings unsound: more than its schema can say."""

from __future__ import annotations

from benchmarks.records import sound
from benchmarks.records.record import Record


def unsound(record: Record) -> list[str]:
    """Rows that claim to have gone well and lack processes or trainings that were asked for."""
    settings, problems = record["settings"], []
    for index, row in enumerate(record["rows"]):
        where = f"record.rows[{index}]"
        if row["error"] is not None:
            continue
        for part, count in (("processes", "rounds"), ("accuracies", "seeds")):
            if len(row[part]) != settings[count]:
                problems.append(f"{where}: {len(row[part])} {part} of {settings[count]}")
        times = [ns for process in row["processes"] for kind in process.values() for ns in kind]
        problems += [f"{where}: {what}" for what in sound.too_long(times)]
        problems += [f"{where}: {what}" for what in sound.repeated(row["processes"], "loop")]
    return problems
