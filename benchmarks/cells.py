"""The grid as data: what is timed, in which framework's process, and in which order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# A row of the table -> the framework whose process runs it; its worker's BUILD makes the model.
IMPLEMENTATIONS = {
    "pytorch_impl": "torch",
    "torchvision": "torch",
    "paddle_impl": "paddle",
    "paddle.vision": "paddle",
}
WORKERS = {"torch": "benchmarks.torch_worker", "paddle": "benchmarks.paddle_worker"}

# Networks that every implementation has.
MODELS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")

# Paddle reads its switches from the environment; torch's are set in its worker. Both to the same:
# no TF32, no search among cuDNN's algorithms.
SWITCHES = {
    "FLAGS_cudnn_allow_tf32": "0",
    "FLAGS_cublas_allow_tf32": "0",
    "FLAGS_cudnn_exhaustive_search": "0",
}

# Ratios that are quoted, as numerator and denominator; within one rung only.
PAIRS = (
    ("pytorch_impl", "torchvision"),
    ("paddle_impl", "paddle.vision"),
    ("paddle_impl", "pytorch_impl"),
)


@dataclass(frozen=True)
class Cell:
    """One row of the table. Every process of a cell runs exactly this."""

    model: str
    batch: int
    implementation: str
    size: int  # height and width of the images
    # The matched rung: on both sides the same layout, precision and switches, eager against eager.
    rung: str = "matched"
    mode: str = "eager"
    precision: str = "fp32"
    layout: str = "NCHW"

    @property
    def framework(self) -> str:
        """The framework whose process runs this cell."""
        return IMPLEMENTATIONS[self.implementation]


def grid(
    models: Sequence[str], batches: Sequence[int], implementations: Sequence[str], size: int
) -> list[Cell]:
    """Every combination; what will be compared stands side by side, so it runs close in time."""
    return [Cell(*row, size) for row in itertools.product(models, batches, implementations)]


def abba(count: int, rounds: int) -> Iterator[tuple[int, int]]:
    """(round, index of a cell) in running order: forward, then backward, then forward, …

    A machine that slows down or speeds up steadily then does the same to every cell.
    """
    for turn in range(rounds):
        order = range(count)
        yield from ((turn, index) for index in (order if turn % 2 == 0 else reversed(order)))
