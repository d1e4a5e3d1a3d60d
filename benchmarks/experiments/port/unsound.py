"""What makes a record of conversions unsound: more than its schema can say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.experiments.port.rows import MAX_REST
from benchmarks.records import sound
from benchmarks.records.record import Record


def unsound(record: Record) -> list[str]:
    """Commands that claim to have gone well without a run, and parts that are not the whole."""
    return sound.in_each(record, "commands", _command)


def _command(command: Mapping[str, Any]) -> Iterator[str]:
    if command["error"] is None and not command["runs"]:
        yield "no error, and no runs"
    yield from sound.repeated(command["runs"], "round")
    for run in command["runs"]:
        yield from sound.too_long([run["wall_ns"]])
        parts = run["parts"] or {}
        if parts and sum(parts.values()) != run["wall_ns"]:
            yield "its parts are not the whole"
        if parts and not 0 <= parts["rest"] <= MAX_REST * run["wall_ns"]:
            yield f"{parts['rest']} ns of {run['wall_ns']} are in no part"
