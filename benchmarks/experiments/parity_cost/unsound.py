"""What makes a record of what parity costs unsound: more than its schema can say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.records import sound
from benchmarks.records.record import Record


def unsound(record: Record) -> list[str]:
    """Commands that claim to have gone well without a time, or have more times than rounds."""

    def check(command: Mapping[str, Any]) -> Iterator[str]:
        if command["error"] is None and not command["wall_ns"]:
            yield "no error, and no times"
        if len(command["wall_ns"]) > record["settings"]["rounds"]:
            yield "more times than rounds: a process is listed twice"
        yield from sound.too_long(command["wall_ns"])

    return sound.in_each(record, "commands", check)
