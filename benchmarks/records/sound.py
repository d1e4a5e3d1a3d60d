"""What no record can hold, of whatever kind: numbers beyond any clock, a process listed twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

LARGEST = 2**63 - 1  # of a clock's nanoseconds or of a size in bytes: int64, as arrays hold them
LONGEST_NS = 86_400 * 10**9  # of a duration: a day, and a single pass takes seconds


def absurd(value: Any, where: str = "record") -> Iterator[str]:
    """A line for each number that is NaN, infinite or beyond LARGEST, and each error of no words.

    Of a JSON document, whatever its kind.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "error" and isinstance(inner, str) and not inner.strip():
                yield f"{where}.error: an error that says nothing"
            yield from absurd(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from absurd(inner, f"{where}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{where}: {value} is no number that was measured"
    elif isinstance(value, int | float) and abs(value) > LARGEST:
        yield f"{where}: a number above 2^63, more than a clock or a size can be"


def in_each(
    record: Mapping[str, Any], key: str, check: Callable[[Any], Iterator[str]]
) -> list[str]:
    """What ``check`` says of each entry of a record's list, with the entry's place."""
    return [
        f"record.{key}[{index}]: {what}"
        for index, entry in enumerate(record[key])
        for what in check(entry)
    ]


def too_long(times: Sequence[int]) -> list[str]:
    """Of durations in nanoseconds: those that no clock gives, and those over a day."""
    if any(ns < 1 for ns in times):
        return ["a time of 0 ns or less: the clock stood still or went back"]
    return ["a time of more than a day"] if any(ns > LONGEST_NS for ns in times) else []


def repeated(processes: Sequence[Mapping[str, Any]], of: str = "round") -> list[str]:
    """Whether a process stands twice in a row: one round twice, or the same ``process[of]``.

    Two processes never agree in all of their nanoseconds; None, of one that failed, is no time.
    """
    rounds = [process["round"] for process in processes if "round" in process]
    times = [process[of] for process in processes if process[of]]
    problems = []
    if len(set(rounds)) < len(rounds):
        problems.append("two processes of one round: a process is listed twice")
    if not problems and any(
        one == other for index, one in enumerate(times) for other in times[:index]
    ):
        problems.append(f"two processes with the same {of}: a process is listed twice")
    return problems
