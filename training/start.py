"""The weights that a training begins with, drawn in NumPy: the same in both frameworks."""

from __future__ import annotations

import math

import numpy as np

from weight_port import arch


def draw(name: str, seed: int, num_classes: int) -> dict[str, np.ndarray]:
    """Float32 tensors of an architecture in the dialect paddle1, equal for equal seeds.

    Convolutions: He et al., "Delving Deep into Rectifiers" (2015), fan-out. The classifier:
    Uniform(-1/sqrt(C), 1/sqrt(C)). Batch norms: scale and variance 1, offset and mean 0.
    """
    random = np.random.default_rng(seed)

    def tensor(parameter: arch.Parameter) -> np.ndarray:
        shape, role = parameter.shape, parameter.role
        if role == "weight":
            return random.standard_normal(shape) * math.sqrt(2 / (shape[0] * shape[2] * shape[3]))
        if role == "linear_weight":
            return random.uniform(-1, 1, shape) / math.sqrt(shape[0])
        return np.full(shape, float(role in ("scale", "variance")))

    found = arch.parameters(name, num_classes)
    return {parameter.name: tensor(parameter).astype(np.float32) for parameter in found}
