"""What makes a record of steps unsound: more than its schema can say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.harness.worker import refused
from benchmarks.records import sound
from benchmarks.roofline import costs


def unsound(record: Mapping[str, Any]) -> list[str]:
    """Sides whose processes lack a step, or hold a time that parity does not allow, or none."""
    expected = costs.order(record["settings"]["model"])
    return sound.in_each(record, "sides", lambda side: _side(side, expected))


def _side(side: Mapping[str, Any], expected: Sequence[tuple[str, str]]) -> Iterator[str]:
    if side["error"] is None and not side["processes"]:
        yield "no error, and no processes"
    yield from sound.repeated(side["processes"])
    for process in side["processes"]:
        held = (process, *process["steps"])
        if any(bool(part["parity"]["error"]) == bool(part["device_ns"]) for part in held):
            yield "a time without parity, or parity without a time"
        for part in (part for part in held if part["device_ns"]):
            reasons = [refused(part["parity"], "fp32"), *sound.too_long(part["device_ns"])]
            yield from filter(None, reasons)
        steps = [(step["name"], step["kind"]) for step in process["steps"]]
        if process["device_ns"] and steps != expected:
            yield "its steps are not those of the network"
