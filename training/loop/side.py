"""A side: what the training loop asks of a framework, and tensors under either's names.

It imports no framework.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from parity.workers.worker import scheme
from training.data.cifar import CLASSES
from training.errors import CheckpointError, TrainingError
from weight_port.conversion import casts
from weight_port.dialects import keys

Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class How:
    """How a process computes: unlike a training's settings, it may change on --resume."""

    threads: int  # of each worker
    workers: int = 1  # processes that share every batch
    precision: str = "float32"  # bfloat16: autocast's
    channels_last: bool = False  # images and convolutions in NHWC; their values are the same
    device: str = "cpu"  # or "gpu", one for each worker

    @property
    def dtype(self) -> Any:
        """NumPy's dtype of weights, buffers and images; under autocast they stay float32."""
        return np.dtype("float64" if self.precision == "float64" else "float32")


class Side(Protocol):
    """A network in training in one framework; tensors go in and out under the scheme's names.

    It is the ``rank``-th of ``workers`` processes that train together: 0 of 1 if it is alone. Each
    holds the same weights and buffers. Batch norms take the statistics of a worker's own images:
    neither framework synchronises them on CPUs, so it isn't done on GPUs either.
    """

    rank: int
    workers: int

    def put(self, weights: Tensors, momentum: Tensors) -> None:
        """Take weights and SGD's buffers; without buffers it is as before the first step."""

    def weights(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and statistics."""

    def momentum(self) -> dict[str, np.ndarray]:
        """Copies of SGD's buffers, of every parameter that has one."""

    def step(
        self, images: np.ndarray, labels: np.ndarray, rate: float, whole: int
    ) -> tuple[float, int]:
        """A step of SGD on a batch of ``whole`` images, of which this worker has ``images``.

        Returns the batch's mean loss before the step, and how many of its images were right.
        """

    def logits(self, images: np.ndarray) -> np.ndarray:
        """(N, classes) in evaluation mode, float64 where the weights are, else float32."""

    def summed(self, values: list[float]) -> list[float]:
        """The sums over all workers, in float64, in each of them."""

    def save(self, folder: Path, weights: Tensors, momentum: Tensors) -> None:
        """Write the files in which the framework's users keep a network and its optimizer."""

    def saved(self, path: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Weights and SGD's buffers from such files. Raises CheckpointError."""

    def average_statistics(self) -> None:
        """Give every worker the mean of all workers' running means and variances."""


Make = Callable[[dict[str, Any], How], Side]  # from a training's settings


def sizes(settings: Mapping[str, Any]) -> dict[str, int]:
    """What the settings' network is built with: CIFAR-10's classes, where they don't say more."""
    given: dict[str, int] = settings.get("sizes", {"num_classes": len(CLASSES)})
    return given


def check_gpu(number: int, count: int, framework: str) -> None:
    """Raises TrainingError where a worker's GPU, counted from 0, is not among ``count``."""
    if number >= count:
        raise TrainingError(
            f"--device gpu: {framework} sees {count} GPUs, and this worker needs GPU {number}; "
            "fewer --workers, or --device cpu"
        )


def cast(tensors: Tensors, dtype: Any) -> Tensors:
    """The tensors in ``dtype``; uncopied where they have it. Raises weight_port.MismatchError."""
    return {name: casts.cast(array, np.dtype(dtype), name) for name, array in tensors.items()}


def named(dialect: str, architecture: str, tensors: Tensors) -> dict[str, np.ndarray]:
    """Copies of a framework's tensors under the scheme's names and in its layout."""
    pairs = scheme(dialect, architecture, tensors)
    return {name: np.array(array, order="C") for name, array in pairs}


def check_shapes(path: Path, buffers: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """Raises CheckpointError where SGD's buffers are not one for each parameter, of its shape."""
    wrong = [
        key for key, value in buffers.items() if list(value.shape) != list(parameters[key].shape)
    ] or sorted(set(parameters) - set(buffers))
    if buffers and wrong:
        raise CheckpointError(f"{path}: SGD's buffers are wrong or missing of {', '.join(wrong)}")


def keyed(dialect: str, architecture: str, tensors: Tensors) -> dict[str, np.ndarray]:
    """The way back from ``named``: the given tensors of the scheme under the framework's keys."""
    return {
        key: np.ascontiguousarray(
            tensors[entry.name].transpose(entry.order) if entry.order else tensors[entry.name]
        )
        for key, entry in keys.keys(dialect, architecture).items()
        if entry.parameter is not None and entry.name in tensors
    }
