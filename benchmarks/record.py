"""The record of a run: the machine's side of it, and the JSON file; see ``record.schema.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.schema import problems
from parity import context as machine
from parity import launch
from weight_port import disk

VERSION = 1
Record = dict[str, Any]

# Variables that can change a speed. The allocator's are the user's to set, the same on both sides:
# they took torch from 2264 to 1371 ms at batch 32 on a two-core CPU.
_TELLING = ("OMP_", "MKL_", "FLAGS_", "NVIDIA_TF32", "CUDA_", "MALLOC_", "LD_PRELOAD")


class RecordError(Exception):
    """A file is no record that this version can read."""


def context(
    frameworks: Mapping[str, Any], device: str, threads: int, extra: Mapping[str, str]
) -> dict[str, Any]:
    """The machine and software. ``extra`` is what the workers' environment adds to the usual."""
    query = ("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    environment = launch.environment(threads, extra)
    return {
        "date": machine.date(),
        "commit": machine.commit(),
        "system": machine.system(),
        "gpu": machine.output(*query).replace("\n", "; ") or None if device == "gpu" else None,
        "frameworks": dict(frameworks),
        "environment": {k: v for k, v in sorted(environment.items()) if k.startswith(_TELLING)},
    }


@cache
def _schema() -> dict[str, Any]:
    text = Path(__file__).with_name("record.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


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


def check(record: Any, where: str) -> None:
    """Raises RecordError that lists where ``record`` is not what the schema says."""
    found = problems(record, _schema()) or _empty_cells(record)
    if found:
        more = f"\n  and {len(found) - 8} more" if len(found) > 8 else ""
        raise RecordError(f"{where}: no benchmark record:\n  " + "\n  ".join(found[:8]) + more)


def write(path: Path, record: Record, force: bool = False) -> None:
    """Write a record whole or not at all. Raises RecordError or weight_port.DestinationError."""
    check(record, str(path))
    text = json.dumps(record, indent=1, allow_nan=False)
    with disk.new_file(path, force) as stream:
        stream.write(text.encode() + b"\n")


def read(path: Path) -> Record:
    """The record in a file. Raises RecordError."""
    try:
        record: Record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"{path}: can't be read: {error.strerror}") from None
    except ValueError as error:
        raise RecordError(f"{path}: no JSON ({error}); pass a file that a run wrote") from None
    version = record.get("schema") if isinstance(record, dict) else None
    if version != VERSION:
        raise RecordError(f"{path}: schema {version!r}, but this version reads {VERSION} only")
    check(record, str(path))
    return record
