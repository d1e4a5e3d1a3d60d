"""The table of precisions: what a run can compute in, and how far the frameworks may differ."""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np


@dataclass(frozen=True)
class Precision:
    """One row: what is computed in, its unit, and the outer bounds on relative L2 differences."""

    name: str
    dtype: str  # of the tensors
    epsilon: float  # from 1 to the next number that its products are rounded to
    logits: float
    layer: float
    gradient: float
    step: float  # parameters, statistics and losses while training

    @property
    def numpy(self) -> np.dtype:
        """The dtype, of which NumPy doesn't know bfloat16 by its name."""
        return np.dtype(ml_dtypes.bfloat16 if self.dtype == "bfloat16" else self.dtype)


# The outer bounds, whatever the frameworks' own errors are. Measured, ResNet-50 to 152 on a CPU:
# float64: with the same batch-norm epsilon logits differ by 2.3e-15 (depth 50) to 2.1e-14 (152),
# layers by 4.5e-14; a weight changed in its sixth digit shows.
# float32: 2.2e-6 (50) to 2.0e-5 (152), each framework as far from float64 as from the other; 1e-4
# leaves room for other kernels and still shows a missing epsilon or TF32 (1e-3).
# Gradients: a ReLU whose input is nearly 0 may be open in one framework and shut in the other, so
# that whole elements differ. The share of such elements goes with the rounding, and the relative L2
# with its square root: 1e-3 a layer in float32, and 1e-2 over 50 layers (measured against float64:
# torch 2.9e-3, Paddle 9.0e-3), while in float64 there is no such element among 1e8.
# bfloat16, float16, tf32: the float32 bounds times the ratio of the units, at most a tenth.
PRECISIONS = {
    row.name: row
    for row in (
        Precision("float64", "float64", 2.0**-52, 1e-13, 1e-12, 1e-11, 1e-11),
        Precision("float32", "float32", 2.0**-23, 1e-4, 1e-4, 5e-2, 5e-2),
        Precision("tf32", "float32", 2.0**-10, 1e-1, 1e-1, 1e-1, 1e-1),
        Precision("float16", "float16", 2.0**-10, 1e-1, 1e-1, 1e-1, 1e-1),
        Precision("bfloat16", "bfloat16", 2.0**-7, 1e-1, 1e-1, 1e-1, 1e-1),
    )
}

# Within the bounds, layers may differ by this many times the *smaller* of the frameworks' own
# errors against float64 (at least one epsilon). Two independent roundings of equal size differ by
# 1.4 times either; measured in float32 over all layers of depths 50 to 152: 1.24 to 1.32, and 4.5
# for layers that are each fed the reference's input, where a kernel sums in another order. The
# *larger* error can't serve: |t - p| <= |t - r| + |p - r|, so nothing exceeds twice the larger one.
FACTOR = 8.0


def overflow(array: np.ndarray, precision: str) -> float | None:
    """The largest finite value of an array that the precision makes infinite; None for none."""
    if not np.issubdtype(array.dtype, np.floating) and array.dtype.name != "bfloat16":
        return None
    finite = np.abs(array[np.isfinite(array)])
    largest = finite.max(initial=0)
    with np.errstate(over="ignore"):
        kept = np.isfinite(largest.astype(PRECISIONS[precision].numpy))
    return None if kept else float(largest)
