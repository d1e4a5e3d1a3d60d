"""A process of several workers with the faults that those can have, of ``FAULTY``'s framework."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from training.data import batches
from training.loop import epochs
from training.loop.side import How


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


# "alone" first: later the network is wrapped in what exchanges its gradients.
FAULTS = {"alone": alone, "unweighted": unweighted, "same images": same_images}


def main(framework: str) -> None:
    """Train with each fault, into a folder of its name, and last without any, as was asked.

    All in one start of the workers, which costs more than the steps do.
    """
    module = importlib.import_module(f"training.loop.side_{framework}")
    right = getattr(module, f"{framework.title()}Side")
    job, share = json.loads(Path(sys.argv[1]).read_text()), batches.share
    side = right(job["settings"], How(**job["how"]))
    for name, fault in FAULTS.items():
        side.__class__ = fault(right)
        out = Path(job["out"], name)
        out.mkdir(exist_ok=True)
        epochs.run(side, {**job, "out": str(out)})
        batches.share = share
    side.__class__ = right
    epochs.run(side, job)


if __name__ == "__main__":
    main(os.environ["FAULTY"])
