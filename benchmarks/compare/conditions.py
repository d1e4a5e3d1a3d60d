"""Were two records of passes measured alike? What differs in machine, software and settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.grid.cells import LABELS
from benchmarks.records.record import Record, RecordError

Facts = dict[str, Any]
Key = tuple[Any, ...]


def machine(record: Record) -> Facts:
    """What the machine is and how much of it the run might use."""
    system = record["context"]["system"]
    facts = {name: system[name] for name in ("cpu", "cores", "affinity", "scheduling")}
    return {**facts, "gpu": record["context"]["gpu"]}


def software(record: Record) -> Facts:
    """Versions, switches and variables; the suite's commit, not whether files beside it changed."""
    context = record["context"]
    commit = context["commit"]
    facts = {"os": context["system"]["os"], "python": context["system"]["python"]}
    facts["commit"] = commit and commit["id"]
    for framework, about in context["frameworks"].items():
        for part in ("versions", "switches"):
            facts |= {f"{framework}: {name}": value for name, value in about[part].items()}
        facts |= {f"{framework}: build": about["build"], f"{framework}: gpu": about["gpu"]}
    return facts | {f"${name}": value for name, value in context["environment"].items()}


def settings(record: Record) -> Facts:
    """What was asked, but for the number of rounds and how long they took."""
    own = ("rounds", "wall_ns")
    return {name: value for name, value in record["settings"].items() if name not in own}


def _is_shared(fact: str, one: Record, other: Record) -> bool:
    """False for what a framework says that only one record has: no difference, an addition."""
    framework, colon, _ = fact.partition(": ")
    either = (one["context"]["frameworks"], other["context"]["frameworks"])
    return not colon or all(framework in frameworks for frameworks in either)


def differences(one: Record, other: Record, facts: Callable[[Record], Facts]) -> list[str]:
    """A line per fact in which two records differ: "cpu: 'A', then 'B'"."""
    ours, theirs = facts(one), facts(other)
    return [
        f"{name}: {ours.get(name)!r}, then {theirs.get(name)!r}"
        for name in dict.fromkeys((*ours, *theirs))
        if ours.get(name) != theirs.get(name) and _is_shared(name, one, other)
    ]


def key(cell: Mapping[str, Any]) -> Key:
    """A cell's labels: what it was, whatever came of it."""
    return tuple(cell.get(label) for label in LABELS)


def by_labels(record: Record, where: str) -> dict[Key, dict[str, Any]]:
    """A record's cells by their labels. Raises RecordError for two of the same."""
    found = {key(cell): cell for cell in record["cells"]}
    if len(found) < len(record["cells"]):
        raise RecordError(f"{where}: two cells have the same labels; `merge` never writes such")
    return found
