"""What stands beside a record's figures wherever they are shown: stale, not complete, in parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.records import rooms

# Keys of a record: {"done": 12, "of": 55} steps, of one that is not complete; and a list of
# {"date", "done"}, when a run went on and how many steps had been done by then.
INCOMPLETE, RESUMED = "incomplete", "resumed"
# And a list of reasons, where there are any, why its rows can't be called matched: see
# experiments/forward/noise.
UNMATCHED = "unmatched"

# What stands as the error of a row that did not fail: no process was started for it yet; and, with
# what it lacks and how to get that, its framework is not there.
PENDING, ABSENT = "not measured yet", "not installed"


def marks(record: Mapping[str, Any]) -> list[str]:
    """A sentence for each thing that a reader must know of a record before its figures."""
    texts = (_incomplete(record), _unmatched(record), _resumed(record), rooms.mark(record))
    return [text for text in texts if text]


def joined(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What these keys hold in a record that is made of several."""
    parts = [record[INCOMPLETE] for record in records if INCOMPLETE in record]
    counts = {key: sum(part[key] for part in parts) for key in ("done", "of")}
    reasons = dict.fromkeys(one for record in records for one in record.get(UNMATCHED, ()))
    resumed = [part for record in records for part in record.get(RESUMED, ())]
    made = {INCOMPLETE: counts if parts else None, UNMATCHED: list(reasons), RESUMED: resumed}
    return {key: value for key, value in made.items() if value}


def plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without these keys."""
    return {k: v for k, v in record.items() if k not in (INCOMPLETE, UNMATCHED, RESUMED)}


def problems(record: Mapping[str, Any]) -> list[str]:
    """What a record can't say of how complete it is, and of when its run went on."""
    wrong = []
    if INCOMPLETE in record and not _is_part(record[INCOMPLETE]):
        wrong.append(f"record.{INCOMPLETE}: should be steps that are done, of more than those")
    reasons = record.get(UNMATCHED, [])
    if not isinstance(reasons, list) or not all(isinstance(one, str) for one in reasons):
        wrong.append(f"record.{UNMATCHED}: should be a list of sentences")
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


def _unmatched(record: Mapping[str, Any]) -> str:
    reasons = record.get(UNMATCHED)
    return f"NOT MATCHED: {'; '.join(reasons)}." if reasons else ""


def _resumed(record: Mapping[str, Any]) -> str:
    if not (parts := record.get(RESUMED)):
        return ""
    when = ", ".join(f"{part['date']} (after {part['done']} steps)" for part in parts)
    return f"Taken in parts; it went on at {when}."
