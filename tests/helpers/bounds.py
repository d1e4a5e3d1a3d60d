"""How far apart two results of a framework's kernels may lie, on whatever processor they ran.

A bound that was read off a run holds on one processor: with other instructions a kernel sums in
another order. So a test compares in float64 on both sides (FLOAT64), or it asks how far each side
is from float64: ``excess`` of two results, ``spread`` of several errors. The multiple is parity's
FACTOR, whose reasons stand in ``parity.comparison.precision``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from parity.comparison.precision import FACTOR, PRECISIONS

FLOAT64 = PRECISIONS["float64"]  # its .logits, .layer, .gradient and .step are relative L2


def excess(
    one: np.ndarray,
    other: np.ndarray,
    exact: np.ndarray,
    precision: str = "float32",
    terms: int = 0,
    condition: float = 1.0,
) -> float:
    """How much further apart two results are than their own rounding explains: up to 1, or more.

    ``exact`` is what float64 gives for the same numbers; the three have one shape. As in parity,
    the results may differ by FACTOR times the smaller of their errors, which is taken to be at
    least one epsilon of the precision. Not the larger one: of that, no difference is more than
    twice. Where the longest sum is said to have more ``terms``, by sqrt(terms) times: summed one
    after the other they are off by about sqrt(terms) roundings, and in blocks by a few (Higham,
    "Accuracy and Stability of Numerical Algorithms", 2002, section 4.2).

    The smaller error must be within parity's outer bound, or ``exact`` is something else; within
    ``condition`` times the bound, for what is so many times more sensitive than logits are. The
    relative L2 difference is judged, and the largest one, which a single wrong element does not
    get past. Infinite where shapes differ or a value is not finite.
    """
    if not one.shape == other.shape == exact.shape or not all(
        np.isfinite(side).all() for side in (one, other, exact)
    ):
        return math.inf
    row = PRECISIONS[precision]
    first, second, right = (np.asarray(side, np.float64).ravel() for side in (one, other, exact))
    ratios = []
    for order in (2, np.inf):
        whole = np.linalg.norm(right, order)
        pairs = ((first, second), (first, right), (second, right))
        apart, *errors = (np.linalg.norm(a - b, order) / whole for a, b in pairs)
        allowed = max(FACTOR, math.sqrt(terms)) * max(row.epsilon, min(errors))
        ratios += [apart / allowed, min(errors) / (condition * row.logits)]
    return float(max(ratios))


def spread(errors: Sequence[float], precision: str = "float32") -> float:
    """How much the errors of one computation in several kernels spread: up to 1, or more.

    Each is a relative L2 difference from float64. The largest may be FACTOR times the smallest,
    which is taken to be at least one epsilon of the precision.
    """
    ratio = max(errors) / (FACTOR * max(PRECISIONS[precision].epsilon, min(errors)))
    return ratio if np.isfinite(errors).all() else math.inf
