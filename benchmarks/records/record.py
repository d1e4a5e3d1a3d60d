"""The record of a run: the machine's side of it, and what the experiments' schemas say of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parity import machine
from parity.workers import launch

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

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


_EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


@cache
def _schema(name: str) -> dict[str, Any]:
    text = (_EXPERIMENTS / name).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _validator(name: str) -> Draft202012Validator:
    """What holds a document against a schema file; one may refer to another by ``name``."""
    # Here and not above: --help would wait for it as long as it takes itself, 0.07 s.
    from jsonschema import Draft202012Validator
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    names = [path.relative_to(_EXPERIMENTS).as_posix() for path in schemas()]
    known = [(other, DRAFT202012.create_resource(_schema(other))) for other in names]
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


def schemas() -> list[Path]:
    """Every experiment's schema file."""
    return sorted(_EXPERIMENTS.glob("*/schema.json"))


def problems(record: Any, experiment: str) -> list[str]:
    """Every place where ``record`` is not as the experiment's schema says; empty for none."""
    return [
        f"{_place(error.absolute_path)}: {_shown(error.instance)}, but its {error.validator} "
        f"should be {error.validator_value}"
        for error in _validator(f"{experiment}/schema.json").iter_errors(record)
    ]


def version(experiment: str) -> int:
    """The version of an experiment's schema that this package writes and reads."""
    found: int = _schema(f"{experiment}/schema.json")["properties"]["schema"]["const"]
    return found
