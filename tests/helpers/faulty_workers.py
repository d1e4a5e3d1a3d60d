"""A framework's process with a fault that several workers can have: ``FAULT`` names it."""

from __future__ import annotations

import importlib
import os
from typing import Any

from training.data import batches
from training.loop import tasks


def unweighted(side: Any) -> Any:
    """Every worker's mean counts the same, whatever its share."""

    class Faulty(side):
        def step(self, images: Any, labels: Any, rate: float, whole: int) -> Any:
            return super().step(images, labels, rate, self.workers * len(labels))

    return Faulty


def same_images(side: Any) -> Any:
    """All workers take the first one's share."""
    share = batches.share
    batches.share = lambda count, rank, workers: share(count, 0, workers)
    return side


def alone(side: Any) -> Any:
    """No gradient is exchanged."""

    class Faulty(side):
        def put(self, weights: Any, momentum: Any) -> None:
            self.workers = 1
            super().put(weights, momentum)
            self.workers = self.how.workers

    return Faulty


FAULTS = {"unweighted": unweighted, "same images": same_images, "alone": alone}

if __name__ == "__main__":
    framework, fault = os.environ["FAULT"].split(":")
    module = importlib.import_module(f"training.loop.side_{framework}")
    side = getattr(module, f"{framework.title()}Side")
    raise SystemExit(tasks.main(FAULTS[fault](side)))
