"""What the loop asks of a framework, and the names that pass between them. No framework here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from parity.work import scheme
from weight_port import dialects

Tensors = Mapping[str, np.ndarray]


class Side(Protocol):
    """A network in training in one framework; tensors go in and out under the scheme's names."""

    def put(self, weights: Tensors, momentum: Tensors) -> None:
        """Take weights and SGD's buffers; no buffers: as before the first step."""

    def weights(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and statistics."""

    def momentum(self) -> dict[str, np.ndarray]:
        """Copies of SGD's buffers, of every parameter that has one."""

    def step(self, images: np.ndarray, labels: np.ndarray, rate: float) -> tuple[float, int]:
        """A step of SGD; the mean loss before it, and how many were right."""

    def logits(self, images: np.ndarray) -> np.ndarray:
        """(N, classes) float32, in evaluation mode."""


def named(dialect: str, architecture: str, tensors: Tensors) -> dict[str, np.ndarray]:
    """Copies of a framework's tensors under the scheme's names and in its layout."""
    found = scheme(dialect, architecture, tensors)
    return {name: np.array(array, order="C") for name, array in found}


def keyed(dialect: str, architecture: str, tensors: Tensors) -> dict[str, np.ndarray]:
    """The way back: those of the scheme's tensors that are given, under the framework's keys."""
    return {
        key: np.ascontiguousarray(
            tensors[entry.name].transpose(entry.order) if entry.order else tensors[entry.name]
        )
        for key, entry in dialects.keys(dialect, architecture).items()
        if entry.parameter is not None and entry.name in tensors
    }
