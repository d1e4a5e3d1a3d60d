"""What makes a record of conversions unsound: more than its schema can say."""

from __future__ import annotations

from benchmarks.experiments.port.rows import MAX_REST
from benchmarks.records import sound
from benchmarks.records.record import Record


def unsound(record: Record) -> list[str]:
    """Commands that claim to have gone well without a run, and parts that are not the whole."""
    problems = []
    for index, command in enumerate(record["commands"]):
        where = f"record.commands[{index}]"
        if command["error"] is None and not command["runs"]:
            problems.append(f"{where}: no error, and no runs")
        problems += [f"{where}: {what}" for what in sound.repeated(command["runs"], "round")]
        for run in command["runs"]:
            problems += [f"{where}: {what}" for what in sound.too_long([run["wall_ns"]])]
            parts = run["parts"] or {}
            if parts and sum(parts.values()) != run["wall_ns"]:
                problems.append(f"{where}: its parts are not the whole")
            if parts and not 0 <= parts["rest"] <= MAX_REST * run["wall_ns"]:
                problems.append(f"{where}: {parts['rest']} ns of {run['wall_ns']} are in no part")
    return problems
