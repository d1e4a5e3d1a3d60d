"""What makes a record of trainings unsound: more than its schema can say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.records import marks, sound
from benchmarks.records.record import Record


def unsound(record: Record) -> list[str]:
    """Rows that claim to have gone well and lack processes or trainings that were asked for."""
    settings = record["settings"]

    def check(row: Mapping[str, Any]) -> Iterator[str]:
        if row["error"] is not None:
            return
        for part, count in (("processes", "rounds"), ("accuracies", "seeds")):
            least = 0 if marks.INCOMPLETE in record else settings[count]
            if not least <= len(row[part]) <= settings[count]:
                yield f"{len(row[part])} {part} of {settings[count]}"
        times = [ns for process in row["processes"] for kind in process.values() for ns in kind]
        yield from sound.too_long(times)
        yield from sound.repeated(row["processes"], "loop")

    return sound.in_each(record, "rows", check)
