"""The weights that a training begins with, drawn in NumPy: the same in both frameworks."""

from __future__ import annotations

import numpy as np

from parity import seeded
from weight_port import arch


def draw(name: str, seed: int, num_classes: int) -> dict[str, np.ndarray]:
    """Float32 tensors of an architecture in the dialect paddle1, equal for equal seeds.

    Convolutions and the classifier: ``parity.seeded.start``. Batch norms: scale and variance 1,
    offset and mean 0.
    """
    random = np.random.default_rng(seed)

    def tensor(parameter: arch.Parameter) -> np.ndarray:
        drawn = seeded.start(parameter, random)
        one = parameter.role in ("scale", "variance")
        return np.full(parameter.shape, float(one)) if drawn is None else drawn

    found = arch.parameters(name, num_classes)
    return {parameter.name: tensor(parameter).astype(np.float32) for parameter in found}
