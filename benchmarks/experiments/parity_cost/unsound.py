"""What makes a record of what parity costs unsound: more than its schema can say."""

from __future__ import annotations

from benchmarks.records import sound
from benchmarks.records.record import Record


def unsound(record: Record) -> list[str]:
    """Commands that claim to have gone well without a time, or have more times than rounds."""
    problems = []
    for index, command in enumerate(record["commands"]):
        where = f"record.commands[{index}]"
        if command["error"] is None and not command["wall_ns"]:
            problems.append(f"{where}: no error, and no times")
        if len(command["wall_ns"]) > record["settings"]["rounds"]:
            problems.append(f"{where}: more times than rounds: a process is listed twice")
        problems += [f"{where}: {what}" for what in sound.too_long(command["wall_ns"])]
    return problems
