"""What stands beside a record's figures wherever they are shown: stale, not complete, in parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.records import rooms

# Keys of a record: {"done": 12, "of": 55} steps, of one that is not complete; and a list of
# {"date", "done"}, when a run went on and how many steps had been done by then.
INCOMPLETE, RESUMED = "incomplete", "resumed"

# What stands as the error of a row that did not fail: no process was started for it yet; and, with
# what it lacks and how to get that, its framework is not there.
PENDING, ABSENT = "not measured yet", "not installed"


def marks(record: Mapping[str, Any]) -> list[str]:
    """A sentence for each thing that a reader must know of a record before its figures."""
    return [text for text in (_incomplete(record), _resumed(record), rooms.mark(record)) if text]


def problems(record: Mapping[str, Any]) -> list[str]:
    """What a record can't say of how complete it is, and of when its run went on."""
    wrong = []
    if INCOMPLETE in record and not _is_part(record[INCOMPLETE]):
        wrong.append(f"record.{INCOMPLETE}: should be steps that are done, of more than those")
    parts = record.get(RESUMED, [])
    if not isinstance(parts, list) or not all(map(_is_begin, parts)):
        wrong.append(f"record.{RESUMED}: should be a list of dates and of steps that were done")
    return wrong


def _is_part(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    done, of = value.get("done"), value.get("of")
    return type(done) is int and type(of) is int and 0 <= done < of


def _is_begin(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("date"), str):
        return False
    return type(value.get("done")) is int and value["done"] >= 0


def _incomplete(record: Mapping[str, Any]) -> str:
    if not (steps := record.get(INCOMPLETE)):
        return ""
    return f"NOT COMPLETE: {steps['done']} of {steps['of']} steps are done; --resume does the rest."


def _resumed(record: Mapping[str, Any]) -> str:
    if not (parts := record.get(RESUMED)):
        return ""
    when = ", ".join(f"{part['date']} (after {part['done']} steps)" for part in parts)
    return f"Taken in parts; it went on at {when}."
