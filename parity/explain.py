"""Differences between the frameworks that are known exactly, taken out before outputs are compared.

While training, PyTorch keeps the unbiased variance of a batch, n / (n - 1) times the biased one
that Paddle keeps on a CPU (n: values of a channel). Both decay alike, so after ``step`` steps
Paddle's statistic is m^step v0 + S and PyTorch's m^step v0 + S n / (n - 1). What is left after
that is rounding, or a fault.
"""

from __future__ import annotations

import numpy as np


def unbiased(
    variance: np.ndarray, start: np.ndarray, count: int, step: int, momentum: float
) -> np.ndarray:
    """Paddle's running variance [C] as PyTorch would have it; of Paddle's dtype.

    ``start`` is the variance before the first step, ``count`` the values of a channel in a batch,
    ``momentum`` the share that is kept at a step.
    """
    kept = momentum**step * start.astype(np.float64)
    batches = variance.astype(np.float64) - kept
    return (kept + batches * (count / (count - 1))).astype(variance.dtype)
