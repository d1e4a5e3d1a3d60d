"""The record of a run: the machine's side of it, and the JSON file; see ``*.schema.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parity import context as machine
from parity import launch

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

MAX_REST = 0.1  # of a conversion's time may be in none of its parts
Record = dict[str, Any]

# Variables that can change a speed. The allocator's are the user's to set, the same on both sides:
# they took torch from 2264 to 1371 ms at batch 32 on a two-core CPU.
_TELLING = ("OMP_", "MKL_", "OPENBLAS_", "FLAGS_", "NVIDIA_TF32", "CUDA_", "MALLOC_", "LD_PRELOAD")


class RecordError(Exception):
    """A file is no record that this version can read."""


def context(
    frameworks: Mapping[str, Any], device: str, threads: int, extra: Mapping[str, str | None]
) -> dict[str, Any]:
    """The machine and software. ``extra`` is what the workers' environment adds to the usual."""
    query = ("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    environment = launch.environment(threads, extra)
    return {
        **machine.made(),
        "gpu": machine.output(*query).replace("\n", "; ") or None if device == "gpu" else None,
        "frameworks": dict(frameworks),
        "environment": {k: v for k, v in sorted(environment.items()) if k.startswith(_TELLING)},
    }


@cache
def _schema(name: str) -> dict[str, Any]:
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _validator(name: str) -> Draft202012Validator:
    """What holds a document against a schema file; one may refer to another by its name."""
    # Here and not above: --help would wait for it as long as it takes itself, 0.07 s.
    from jsonschema import Draft202012Validator
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    files = sorted(Path(__file__).parent.glob("*.schema.json"))
    known = [(file.name, DRAFT202012.create_resource(_schema(file.name))) for file in files]
    registry: Registry[Any] = Registry().with_resources(known)
    return Draft202012Validator(_schema(name), registry=registry)


def _place(path: Iterable[str | int]) -> str:
    """Where in a record: "record.cells[1].batch"."""
    return "record" + "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in path)


def _shown(value: Any) -> str:
    """A value in a message: containers by their keys or length."""
    if isinstance(value, dict):
        return f"an object with {', '.join(value) or 'nothing'}"
    return f"{len(value)} items" if isinstance(value, list) else repr(value)


def _problems(record: Any, name: str) -> list[str]:
    """Every place where ``record`` is not as the schema file says; empty for none."""
    return [
        f"{_place(error.absolute_path)}: {_shown(error.instance)}, but its {error.validator} "
        f"should be {error.validator_value}"
        for error in _validator(name).iter_errors(record)
    ]


def _empty_cells(record: Record) -> list[str]:
    """Cells that claim to have gone well and hold nothing: more than a schema can say."""

    def is_empty(cell: dict[str, Any]) -> bool:
        samples = [process["samples"] for process in cell["processes"]]
        return not samples or not all(found and found["device_ns"] for found in samples)

    return [
        f"record.cells[{index}]: no error, and no samples"
        for index, cell in enumerate(record["cells"])
        if cell["error"] is None and is_empty(cell)
    ]


def _unsound_commands(record: Record) -> list[str]:
    """Commands that claim to have gone well without a run, and parts that are not the whole."""
    found = []
    for index, command in enumerate(record["commands"]):
        where = f"record.commands[{index}]"
        if command["error"] is None and not command["runs"]:
            found.append(f"{where}: no error, and no runs")
        for run in command["runs"]:
            parts = run["parts"] or {}
            if parts and sum(parts.values()) != run["wall_ns"]:
                found.append(f"{where}: its parts are not the whole")
            if parts and not 0 <= parts["rest"] <= MAX_REST * run["wall_ns"]:
                found.append(f"{where}: {parts['rest']} ns of {run['wall_ns']} are in no part")
    return found


def _unsound_costs(record: Record) -> list[str]:
    """Commands that claim to have gone well without a time."""
    return [
        f"record.commands[{index}]: no error, and no times"
        for index, command in enumerate(record["commands"])
        if command["error"] is None and not command["wall_ns"]
    ]


def _unsound_groups(record: Record) -> list[str]:
    """Groups that lack a cell or have it twice, or whose cells' processes make no pairs."""
    from benchmarks.selftest import CELLS  # which writes records through this module

    rounds = list(range(record["settings"]["rounds"]))
    found = []
    for index, group in enumerate(record["groups"]):
        where = f"record.groups[{index}]"
        if sorted(cell["name"] for cell in group["cells"]) != sorted(CELLS):
            found.append(f"{where}: its cells are not {', '.join(CELLS)}")
        for cell in group["cells"]:
            if [process["round"] for process in cell["processes"]] != rounds:
                found.append(f"{where}: {cell['name']} has not one process per round")
    return found


def _unsound_rows(record: Record) -> list[str]:
    """Rows that claim to have gone well without a run; runs that lack a rank or ran backward."""
    found = []
    for index, row in enumerate(record["rows"]):
        where = f"record.rows[{index}]"
        if row["error"] is None and not row["runs"]:
            found.append(f"{where}: no error, and no runs")
        for run in row["runs"]:
            if len(run["ranks"]) != row["workers"]:
                found.append(f"{where}: {len(run['ranks'])} ranks of {row['workers']} processes")
            if any(rank["end_ns"] <= rank["begin_ns"] for rank in run["ranks"]):
                found.append(f"{where}: a rank ended before it began")
    return found


def _unsound_steps(record: Record) -> list[str]:
    """Sides whose processes lack a step, or hold a time that parity does not allow, or none."""
    from benchmarks.costs import order

    wanted = order(record["settings"]["model"])
    found = []
    for index, side in enumerate(record["sides"]):
        where = f"record.sides[{index}]"
        if side["error"] is None and not side["processes"]:
            found.append(f"{where}: no error, and no processes")
        for process in side["processes"]:
            held = (process, *process["steps"])
            if any(bool(one["parity"]["error"]) == bool(one["device_ns"]) for one in held):
                found.append(f"{where}: a time without parity, or parity without a time")
            steps = [(step["name"], step["kind"]) for step in process["steps"]]
            if process["device_ns"] and steps != wanted:
                found.append(f"{where}: its steps are not those of the network")
    return found


def _unsound_queries(record: Record) -> list[str]:
    from benchmarks.scenarios import unsound  # and with it the statistics, which --help can spare

    return unsound(record)


def _unsound_trainings(record: Record) -> list[str]:
    """Rows that claim to have gone well and lack processes or trainings that were asked for."""
    settings, found = record["settings"], []
    for index, row in enumerate(record["rows"]):
        where = f"record.rows[{index}]"
        if row["error"] is not None:
            continue
        for part, wanted in (("processes", "rounds"), ("accuracies", "seeds")):
            if len(row[part]) != settings[wanted]:
                found.append(f"{where}: {len(row[part])} {part} of {settings[wanted]}")
    return found


# What a record is of (``kind``; passes of a model have none): its schema, and what that can't say.
_KINDS = {
    "forward": ("record.schema.json", _empty_cells),
    "port": ("port.schema.json", _unsound_commands),
    "parity-cost": ("parity.schema.json", _unsound_costs),
    "selftest": ("selftest.schema.json", _unsound_groups),
    "throughput": ("throughput.schema.json", _unsound_rows),
    "layers": ("layers.schema.json", _unsound_steps),
    "latency": ("latency.schema.json", _unsound_queries),
    "train": ("train.schema.json", _unsound_trainings),
}


def kind(record: Any) -> str:
    """A key of _KINDS; raises RecordError for another."""
    found = record.get("kind", "forward") if isinstance(record, dict) else "forward"
    if found not in _KINDS:
        raise RecordError(f"a record of {found!r}, but this version reads {', '.join(_KINDS)}")
    return str(found)


def version(kind: str = "forward") -> int:
    """The schema's version of that kind of record that this package writes and reads."""
    found: int = _schema(_KINDS[kind][0])["properties"]["schema"]["const"]
    return found


def check(record: Any, where: str) -> None:
    """Raises RecordError that lists where ``record`` is not what the schema says."""
    schema, more_problems = _KINDS[kind(record)]
    found = _problems(record, schema) or more_problems(record)
    if found:
        more = f"\n  and {len(found) - 8} more" if len(found) > 8 else ""
        raise RecordError(f"{where}: no benchmark record:\n  " + "\n  ".join(found[:8]) + more)


def write(path: Path, record: Record, force: bool = False) -> None:
    """Write a record whole or not at all. Raises RecordError or weight_port.DestinationError."""
    check(record, str(path))
    machine.write(path, record, force)


def read(path: Path) -> Record:
    """The record in a file. Raises RecordError."""
    try:
        record: Record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"{path}: can't be read: {error.strerror}") from None
    except ValueError as error:
        raise RecordError(f"{path}: no JSON ({error}); pass a file that a run wrote") from None
    found = record.get("schema") if isinstance(record, dict) else None
    known = version(kind(record))
    if found != known:
        raise RecordError(f"{path}: schema {found!r}, but this version reads {known} only")
    check(record, str(path))
    return record
