"""What a record is of: the schema of its kind, and what that can't say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.records.record import schema, version
from parity import records
from parity.records import Record, RecordError

# What a record says that it is of (passes of a model say nothing) -> the experiment's folder, in
# which ``schema.json``, ``rows.unsound`` and ``table.render`` are this kind's.
KINDS = {
    "forward": "forward",
    "port": "port",
    "parity-cost": "parity_cost",
    "selftest": "selftest",
    "throughput": "throughput",
    "layers": "layers",
    "latency": "latency",
    "train": "train",
}
Render = Callable[[Mapping[str, Any], str], str]


def _aspect(kind: str, aspect: str) -> ModuleType:
    """Loaded when it is needed: the eight together take as long to import as ``--help`` may."""
    return import_module(f"benchmarks.experiments.{KINDS[kind]}.{aspect}")


def render(kind: str) -> Render:
    """What makes a record's text in a format of ``records.tables.FORMATS``."""
    found: Render = _aspect(kind, "table").render
    return found


def kind(record: Any) -> str:
    """A key of KINDS; raises RecordError for another."""
    found = record.get("kind", "forward") if isinstance(record, dict) else "forward"
    if found not in KINDS:
        raise RecordError(f"a record of {found!r}, but this version reads {', '.join(KINDS)}")
    return str(found)


def check(record: Any, where: str) -> None:
    """Raises RecordError that lists where ``record`` is not what the schema says."""
    what = kind(record)
    found = records.problems(record, schema(KINDS[what])) or _aspect(what, "rows").unsound(record)
    records.refuse(found, where, "no benchmark record")


def write(path: Path, record: Record, force: bool = False) -> None:
    """Write a record whole or not at all. Raises RecordError or weight_port.DestinationError."""
    check(record, str(path))
    records.write(path, record, force)


def read(path: Path) -> Record:
    """The record in a file. Raises RecordError."""
    record: Record = records.load(path)
    found = record.get("schema") if isinstance(record, dict) else None
    known = version(KINDS[kind(record)])
    if found != known:
        raise RecordError(f"{path}: schema {found!r}, but this version reads {known} only")
    check(record, str(path))
    return record
