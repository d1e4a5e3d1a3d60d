"""What a run's cells share: per model the weights, per batch the images, per both the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import frameworks, worker
from parity import seeded
from weight_port import arch

CALIBRATION = 8  # images that set the batch norms' statistics

Start = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Files:
    """Paths that a cell's job names; the same for every implementation."""

    weights: str
    inputs: str
    reference: str
    onnx: str | None = None  # for the engines


def images(count: int, size: int, seed: int, channels: int = 3) -> np.ndarray[Any, Any]:
    """Float32 (count, channels, size, size) from a standard normal, roughly as photographs are that
    were normalised.

    The speed of a dense network does not depend on the values, as long as they stay normal.
    """
    random = np.random.default_rng([seed, count])
    return random.standard_normal((count, channels, size, size)).astype(np.float32)


def make_weights(folder: Path, model: str, size: int, seed: int, framework: str) -> str:
    """A seeded checkpoint, calibrated in ``framework``. Raises WorkerError."""
    path = folder / f"{model}{seeded.SUFFIX[framework]}"
    batch = images(CALIBRATION, size, seed, arch.architecture(model).in_channels)
    python = frameworks.PYTHONS.get(framework)
    seeded.make(model, batch, path, framework=framework, seed=seed, python=python)
    return str(path)


def make_files(folder: Path, weights: str, batch: np.ndarray[Any, Any], start: Start) -> Files:
    """Write the images and have the reference computed. Raises WorkerError.

    ``start(task, **job)`` runs a task in the worker of the reference's framework.
    """
    stem = f"{Path(weights).stem}-{len(batch)}"
    inputs, out = folder / f"{stem}-images.safetensors", folder / f"{stem}-logits.safetensors"
    worker.save_array(inputs, "images", batch)
    start("reference", weights=weights, inputs=str(inputs), out=str(out))
    return Files(weights, str(inputs), str(out))


def export(folder: Path, files: Files, batch: int, start: Start) -> Files:
    """The same files and, beside them, the network as ONNX. Raises WorkerError.

    ``start(task, **job)`` runs a task in torch's worker.
    """
    out = str(folder / f"{Path(files.weights).stem}-{batch}.onnx")
    start("export", weights=files.weights, inputs=files.inputs, batch=batch, out=out)
    return replace(files, onnx=out)
