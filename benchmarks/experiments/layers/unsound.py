"""What makes a record of steps unsound: more than its schema can say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.harness.worker import refused
from benchmarks.records import sound
from benchmarks.roofline import costs


def unsound(record: Mapping[str, Any]) -> list[str]:
    """Sides whose processes lack a step, or hold a time that parity does not allow, or none."""
    expected = costs.order(record["settings"]["model"])
    problems = []
    for index, side in enumerate(record["sides"]):
        where = f"record.sides[{index}]"
        if side["error"] is None and not side["processes"]:
            problems.append(f"{where}: no error, and no processes")
        problems += [f"{where}: {what}" for what in sound.repeated(side["processes"])]
        for process in side["processes"]:
            held = (process, *process["steps"])
            if any(bool(part["parity"]["error"]) == bool(part["device_ns"]) for part in held):
                problems.append(f"{where}: a time without parity, or parity without a time")
            for part in (part for part in held if part["device_ns"]):
                reasons = [refused(part["parity"], "fp32"), *sound.too_long(part["device_ns"])]
                problems += [f"{where}: {what}" for what in reasons if what]
            steps = [(step["name"], step["kind"]) for step in process["steps"]]
            if process["device_ns"] and steps != expected:
                problems.append(f"{where}: its steps are not those of the network")
    return problems
