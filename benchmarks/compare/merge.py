"""Records of passes that were measured alike, made into one: equal cells pool their processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.compare import conditions
from benchmarks.records import marks
from benchmarks.records.record import Record, RecordError

Named = tuple[str, Record]  # a record and the file it is from
FACTS = (conditions.machine, conditions.software, conditions.settings)


def _check(records: Sequence[Named]) -> None:
    """Raises RecordError where records were measured differently, or one is there twice."""
    for index, (name, record) in enumerate(records):
        conditions.by_labels(record, name)
        for other_name, other in records[:index]:
            differing = [
                line for facts in FACTS for line in conditions.differences(other, record, facts)
            ]
            if differing:
                raise RecordError(
                    f"{name} can't be merged with {other_name}, they were measured differently:\n  "
                    + "\n  ".join(differing)
                    + "\n`compare` takes records that differ"
                )
            if _is_repeated(other, record):
                raise RecordError(f"{name} has samples that {other_name} has: merged already?")


def _is_repeated(one: Record, other: Record) -> bool:
    """Whether a process is in both: nanoseconds are the same in no two."""
    ours, theirs = conditions.by_labels(one, ""), conditions.by_labels(other, "")
    return any(
        process["samples"] is not None and process["samples"] == again["samples"]
        for key in ours.keys() & theirs.keys()
        for process in ours[key]["processes"]
        for again in theirs[key]["processes"]
    )


def _rounds(record: Record) -> int:
    """How many rounds a record has, however it came to an end."""
    entries = [*record["peaks"], *(p for cell in record["cells"] for p in cell["processes"])]
    last: int = max((entry["round"] for entry in entries), default=-1)
    asked: int = record["settings"]["rounds"]
    return max(asked, last + 1)


def _moved(entries: Sequence[Mapping[str, Any]], by: int) -> Iterator[dict[str, Any]]:
    """Processes or peaks with their rounds after those of the records before."""
    return ({**entry, "round": entry["round"] + by} for entry in entries)


def _cells(records: Sequence[Record], offsets: Sequence[int]) -> list[dict[str, Any]]:
    """Every cell once, with all its processes; one that failed in a record has failed."""
    found: dict[conditions.Key, dict[str, Any]] = {}
    for record, by in zip(records, offsets, strict=True):
        for cell in record["cells"]:
            merged = found.setdefault(conditions.key(cell), {**cell, "processes": []})
            merged["processes"] += _moved(cell["processes"], by)
            merged["error"] = _error(merged, cell)
    return list(found.values())


def _error(merged: Mapping[str, Any], cell: Mapping[str, Any]) -> str | None:
    """The first failure of two cells; a row that one record did not come to is the other's."""
    errors = [one["error"] for one in (merged, cell)]
    failures = [error for error in errors if error not in (None, marks.PENDING)]
    pending = None if merged["processes"] else marks.PENDING
    return failures[0] if failures else pending


def _settings(records: Sequence[Record], rounds: int) -> dict[str, Any]:
    """The first's, with the rounds and the time of all; no time where a record has none."""
    merged = {**records[0]["settings"], "rounds": rounds}
    walls = [record["settings"].get("wall_ns") for record in records]
    merged.pop("wall_ns", None)
    return merged if None in walls else {**merged, "wall_ns": sum(walls)}


def _passes(record: Record) -> list[dict[str, Any]]:
    """What a merged record keeps of one: those that it was merged from, or itself."""
    context = record["context"]
    own = {"date": context["date"], "commit": context["commit"], "load": context["system"]["load"]}
    own["rounds"] = record["settings"]["rounds"]
    return list(record.get("passes", [own]))


def merge(named: Sequence[Named]) -> Record:
    """One record of all; its context is the first's, with the frameworks of all.

    Rounds are numbered on, so that processes of one round stay pairs. Raises RecordError where
    machine, software or settings differ, or a record is there twice.
    """
    _check(named)
    records = [record for _, record in named]
    first, rounds = records[0], [_rounds(record) for record in records]
    offsets = [sum(rounds[:index]) for index in range(len(rounds))]
    frameworks: dict[str, Any] = {}
    for record in records:
        frameworks = {**record["context"]["frameworks"], **frameworks}
    peaks = [_moved(record["peaks"], by) for record, by in zip(records, offsets, strict=True)]
    return {
        **marks.plain(first),
        **marks.joined(records),
        "context": {**first["context"], "frameworks": frameworks},
        "settings": _settings(records, sum(rounds)),
        "peaks": [peak for moved in peaks for peak in moved],
        "cells": _cells(records, offsets),
        "passes": [entry for record in records for entry in _passes(record)],
    }
