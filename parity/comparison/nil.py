"""Gradients that are nothing but rounding about zero, and what an optimizer makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from parity.comparison.compare import Comparison
from parity.comparison.precision import PRECISIONS

# Rounding about zero: this many epsilons of the largest gradient's root mean square. Measured, of
# MobileNetV3's biases that a batch norm subtracts: below 100 in float64 and in float32.
NIL = 1000
LARGEST, REACH = "largest", "reach of "  # names of what a worker says of its gradients
_NIL = "the gradient is nil: what is left is rounding, measured by the largest gradient"
STEPS = "its gradient is nil: the optimizer makes steps of its rounding"


def same_shapes(arrays: Sequence[np.ndarray | None]) -> bool:
    """Whether all arrays are there and of one shape."""
    return len({None if array is None else array.shape for array in arrays}) == 1


def nil_gradient(
    plain: Comparison,
    torch: np.ndarray,
    paddle: np.ndarray,
    reference: np.ndarray,
    largest: np.ndarray,
) -> Comparison:
    """The comparison by ``largest``, the root mean square of the network's largest gradient.

    ``plain`` itself where the reference is more than rounding about zero by that measure.
    """
    scale, epsilon = float(largest), PRECISIONS[plain.precision].epsilon

    def size(array: np.ndarray) -> float:
        return float(np.sqrt(np.mean(np.square(array.astype(np.float64)))))

    if not scale or size(reference) > NIL * PRECISIONS["float64"].epsilon * scale:
        return plain
    distance, *errors = (size(a - b) / scale for a, b in
                         ((torch, paddle), (torch, reference), (paddle, reference)))  # fmt: skip
    if not distance <= NIL * epsilon:
        return plain
    return replace(
        plain, passed=True, problem="", allowed=NIL * epsilon, relative_l2=distance,
        torch_error=errors[0], paddle_error=errors[1], torch_ulps=errors[0] / epsilon,
        paddle_ulps=errors[1] / epsilon, explained=_NIL, unexplained_l2=plain.relative_l2,
    )  # fmt: skip
