"""Outputs as files: one small safetensors file each, written as it is computed, then mapped.

A file appears whole: the parent compares an output while the worker computes the next.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import weight_port
from weight_port.formats import safetensors

DONE = "done.json"


def path_of(folder: Path, name: str) -> Path:
    """Where an output's file is."""
    return folder / f"{name}.safetensors"


def save_output(folder: Path, name: str, array: np.ndarray) -> None:
    """Write an output. Raises FileExistsError for a layer that runs twice."""
    path = path_of(folder, name)
    if path.exists():
        raise FileExistsError(f"{path}: the output {name} was computed twice")
    unfinished = path.with_suffix(".tmp")
    with open(unfinished, "xb") as stream:
        safetensors.write(stream, {name: array})
    unfinished.rename(path)


def load_output(folder: Path, name: str) -> np.ndarray | None:
    """The output as a view of its file, None where there is none."""
    path = path_of(folder, name)
    return weight_port.read(path).get(name) if path.exists() else None


def mark_done(folder: Path, result: dict[str, Any]) -> None:
    """Mark a run as ended, with its ``result``, whose ``error`` is None where it went well."""
    unfinished = folder / f".{DONE}"
    unfinished.write_text(json.dumps(result))
    unfinished.rename(folder / DONE)


def done(folder: Path) -> dict[str, Any] | None:
    """The result of a run that has ended, None before."""
    path = folder / DONE
    if not path.exists():
        return None
    result = json.loads(path.read_text())
    return result if isinstance(result, dict) else {}
