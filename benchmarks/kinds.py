"""What a record is of: the schema of its kind, what that can't say, and its tables."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.records import marks, sound, tables
from benchmarks.records.record import schema, version
from parity import records
from parity.records import Record, RecordError

# What a record says that it is of (passes of a model say nothing) -> the experiment's folder, in
# which ``schema.json``, ``unsound.unsound``, ``table.tables`` and ``table.notes`` are this kind's.
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


def _aspect(kind: str, aspect: str) -> ModuleType:
    """Loaded when it is needed: the eight together take as long to import as ``--help`` may."""
    return import_module(f"benchmarks.experiments.{KINDS[kind]}.{aspect}")


def of_record(record: Mapping[str, Any], **options: Any) -> list[tables.Table]:
    """The record's tables; ``options`` are of its kind: ``sort`` of a record of layers."""
    made: list[tables.Table] = _aspect(kind(record), "table").tables(record, **options)
    return made


def render(record: Mapping[str, Any], style: str, table: str | None = None, **options: Any) -> str:
    """A record as text in one of ``tables.FORMATS``; ``table`` is the name of one alone.

    Raises RecordError where the record has no such table.
    """
    chosen = tables.choose(of_record(record, **options), table, kind(record))
    notes = _aspect(kind(record), "table").notes(record)
    return tables.render(chosen, notes, style, marks.marks(record))


def kind(record: Any) -> str:
    """A key of KINDS; raises RecordError for another."""
    name = record.get("kind", "forward") if isinstance(record, dict) else "forward"
    if not isinstance(name, str) or name not in KINDS:
        raise RecordError(f"a record of {name!r}, but this version reads {', '.join(KINDS)}")
    return str(name)


def check(record: Any, where: str) -> None:
    """Raises RecordError that lists where ``record`` is not what the schema says, or can't be."""
    name = kind(record)
    problems = list(sound.absurd(record)) or records.problems(record, schema(KINDS[name]))
    problems = problems or marks.problems(record)
    records.refuse(
        problems or _aspect(name, "unsound").unsound(record), where, "no benchmark record"
    )


def write(path: Path, record: Record, force: bool = False) -> None:
    """Write a record whole or not at all. Raises RecordError or weight_port.DestinationError."""
    check(record, str(path))
    records.write(path, record, force)


def read(path: Path) -> Record:
    """The record in a file. Raises RecordError."""
    record: Record = records.load(path)
    written = record.get("schema") if isinstance(record, dict) else None
    known = version(KINDS[kind(record)])
    if written != known:
        raise RecordError(f"{path}: schema {written!r}, but this version reads {known} only")
    check(record, str(path))
    return record


def read_passes(path: Path, who: str) -> Record:
    """The record in a file; raises RecordError for one that is not of forward passes.

    ``who`` takes these alone, and the message begins with it: "a page shows".
    """
    record = read(path)
    if (name := kind(record)) != "forward":
        raise RecordError(f"{path}: {who} records of forward passes, not of {name}")
    return record
