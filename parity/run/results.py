"""The results of a parity run, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from parity.comparison.compare import Comparison
from parity.comparison.weights import TensorComparison
from parity.run.plan import Options, Section

FRAMEWORKS = ("torch", "paddle")
NOT_COMPARED = TensorComparison()


@dataclass(frozen=True)
class Subject:
    """What both frameworks run."""

    model: str
    weights: Mapping[str, Path]  # by framework; in any format and dialect
    images: np.ndarray  # (N, C, H, W) float32
    labels: np.ndarray  # (N,) int64
    origin: Mapping[str, str]  # what the report says of the weights


@dataclass(frozen=True)
class Machine:
    """Where the frameworks run: cpu or gpu, and the interpreter of one with its own environment."""

    device: str = "cpu"
    pythons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ranking:
    """Whether both frameworks rank the classes alike."""

    images: int
    top1: int  # images of which the first class is the same
    top5: float  # share of the first five classes that both have, over all images


@dataclass(frozen=True)
class SectionResult:
    """A section's comparisons in order; ``error`` where a framework could not run it."""

    section: Section
    outputs: tuple[Comparison, ...] = ()
    error: str = ""
    ranking: Ranking | None = None
    cause: dict[str, Any] | None = None  # see ``cause.find``

    @property
    def passed(self) -> bool:
        """Every output is within its tolerance, and there is one."""
        return not self.error and bool(self.outputs) and all(o.passed for o in self.outputs)


class Outcome:
    """What follows from a run's results and from the comparison of its weights."""

    results: tuple[SectionResult, ...]
    tensors: TensorComparison

    @property
    def passed(self) -> bool:
        """The weights are equal, every section passed, and there is one."""
        passed = bool(self.results) and all(result.passed for result in self.results)
        return passed and not self.tensors.different

    @property
    def different(self) -> bool:
        """Some tensor or output differs; without one, what failed could not be run."""
        return bool(self.tensors.different) or any(
            not result.passed and not result.error for result in self.results
        )


@dataclass(frozen=True)
class Report(Outcome):
    """The result of a run."""

    model: str
    images: tuple[int, ...]  # shape of the batch
    images_sha256: str
    weights: Mapping[str, str]
    options: Options
    device: str
    frameworks: Mapping[str, Mapping[str, Any]]  # version, gpu and switches of each
    threads: int
    results: tuple[SectionResult, ...]
    epsilon_effect: float | None  # relative L2 that torch's own epsilon adds in float64
    tensors: TensorComparison = NOT_COMPARED  # of the two sides' weights
    left_out: tuple[str, ...] = ()  # what two dumps don't both hold, in sentences
