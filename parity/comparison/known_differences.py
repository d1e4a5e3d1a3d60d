"""Differences between the frameworks that are known exactly, removed before outputs are compared.

Running variances: PyTorch keeps the unbiased variance of a batch, n / (n - 1) times the biased one
that Paddle keeps on a CPU (n: values of a channel). Both decay alike, so after ``step`` steps
Paddle's statistic is m^step v0 + S and PyTorch's m^step v0 + S n / (n - 1). What is left after
that is rounding, or a fault. Numbers that Paddle stores as float32 are given to PyTorch so as well,
and PyTorch's average pools get the factors of Paddle's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weight_port import arch
from weight_port.arch import classic
from weight_port.arch.classic_steps import LOCAL_SIZE


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


def as_float32(value: float) -> float:
    """The number as Paddle stores it, rounded to a float32: both frameworks run with that.

    Its kernels take batch norm's epsilon and momentum, SGD's momentum and the weight decay so, and
    PyTorch's float64 results would differ by 1e-11 for that reason alone.
    """
    return float(np.float32(value))


def paddle_epsilon(model: str) -> float:
    """The epsilon of a network's batch norms as Paddle stores it: 1e-5 is 9.999999747378752e-06."""
    return as_float32(arch.architecture(model).epsilon)


# The slope of Paddle's hardsigmoid, in all precisions; torch divides by 6.
HARDSIGMOID = as_float32(0.1666667)
BN_MOMENTUM = as_float32(arch.BN_MOMENTUM)


def _share(values: int) -> float:
    """1 / values as a float32, times values."""
    return as_float32(1 / values) * values


AVERAGES = ("avg_pool", "mean_pool", "adaptive_pool", "local_norm")  # kinds of layer with a pool


def pool_gradients(layer: arch.Layer, side: int) -> np.ndarray:
    """The ratio of Paddle's average pool's gradient to the exact one: near 1, (H', W') float64.

    On a CPU its backward pass multiplies by 1 / pixels of a window as a float32, in float64 too;
    PyTorch's divides (measured, paddlepaddle 3.3.1: 2.0e-8 at 7x7, 0 at powers of 2).
    ``side`` is the height and width of the layer's input, whose windows may be cut at its end.
    Local response normalisation has such a pool inside, over channels: (1, 1).
    """
    if layer.kind == "local_norm":
        return np.array([[_share(LOCAL_SIZE)]])
    if layer.kind == "mean_pool":
        count = classic.output_side(side, layer)
        starts = [i * layer.stride - layer.pad for i in range(count)]
        ends = [start + layer.kernel for start in starts]
    else:  # to 1 pixel, or to so many that windows may overlap
        count = 1 if layer.kind == "avg_pool" else layer.kernel
        starts = [i * side // count for i in range(count)]
        ends = [-(-(i + 1) * side // count) for i in range(count)]
    lengths = [min(end, side) - max(start, 0) for start, end in zip(starts, ends, strict=True)]
    return window_gradients(lengths, lengths)


def window_gradients(rows: Sequence[int], columns: Sequence[int]) -> np.ndarray:
    """The same ratio for windows of so many rows and columns: (H', W') float64."""
    pixels = np.outer(rows, columns)
    ratios: np.ndarray = np.vectorize(_share, otypes=[float])(pixels)
    return ratios
