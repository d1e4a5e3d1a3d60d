"""The record of a run: the machine's side of it, and what the experiments' schemas say of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.records import rooms
from parity import machine, records
from parity.records import Record, RecordError
from parity.workers import launch

__all__ = ["Record", "RecordError", "context", "reason", "schema", "version"]

_EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
# Variables that can change a speed. The allocator's are the user's to set, the same on both sides:
# they took torch from 2264 to 1371 ms at batch 32 on a two-core CPU.
_TELLING = (
    *("OMP_", "MKL_", "OPENBLAS_", "FLAGS_", "NVIDIA_TF32", "CUDA_", "MALLOC_", "LD_PRELOAD"),
    *launch.INSTRUCTION_SETS,
)


def context(
    frameworks: Mapping[str, Any], device: str, threads: int, extra: Mapping[str, str | None]
) -> dict[str, Any]:
    """The machine and software. ``extra`` is what the workers' environment adds to the usual."""
    query = ("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    environment = launch.environment(threads, extra)
    return {
        **machine.context(),
        "rooms": rooms.digests(),
        "gpu": machine.output(*query).replace("\n", "; ") or None if device == "gpu" else None,
        "frameworks": dict(frameworks),
        "environment": {k: v for k, v in sorted(environment.items()) if k.startswith(_TELLING)},
    }


def schema(experiment: str) -> Path:
    """The file with the JSON Schema of an experiment's records."""
    return _EXPERIMENTS / experiment / "schema.json"


def version(experiment: str) -> int:
    """The version of an experiment's schema that this package writes and reads."""
    return records.version(schema(experiment))


def reason(error: str) -> str:
    """The line of a row's error that says what went wrong: a traceback's last."""
    return error.strip().splitlines()[-1]
