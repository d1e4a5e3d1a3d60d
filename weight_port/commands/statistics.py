"""Figures of a tensor, a piece at a time, so that no copy of a large one is made."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from weight_port.conversion.numbers import pieces


@dataclass(frozen=True)
class Figures:
    """Of the finite elements; NaN where there are none."""

    minimum: float
    maximum: float
    mean: float
    deviation: float  # of the population
    nans: int
    infinities: int


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _real(piece: np.ndarray) -> np.ndarray:
    wide = _wide(piece)
    return np.abs(wide) if wide.dtype.kind == "c" else wide


def figures(array: np.ndarray) -> Figures:
    """Of real tensors, and of the magnitudes of complex ones."""
    low, high, total, count, nans, infinities = math.inf, -math.inf, 0.0, 0, 0, 0
    for (piece,) in pieces(array):
        piece = _real(piece)
        finite = piece[np.isfinite(piece)]
        nan = int(np.isnan(piece).sum())
        nans, infinities = nans + nan, infinities + piece.size - finite.size - nan
        count += finite.size
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
            total += float(finite.sum())
    if not count:
        return Figures(math.nan, math.nan, math.nan, math.nan, nans, infinities)
    mean = total / count
    squares = 0.0
    for (piece,) in pieces(array):
        piece = _real(piece)
        squares += float(((piece[np.isfinite(piece)] - mean) ** 2).sum())
    return Figures(low, high, mean, math.sqrt(squares / count), nans, infinities)


@dataclass(frozen=True)
class Difference:
    """Between two tensors of one shape."""

    maximum: float  # largest absolute difference where both are finite
    elements: int  # that differ: NaN and NaN don't, NaN and a number do


def difference(first: np.ndarray, second: np.ndarray) -> Difference:
    """Compare element by element, as numbers: -0 is 0. Raises ValueError for different shapes."""
    if first.shape != second.shape:
        raise ValueError(f"shapes {first.shape} and {second.shape}")
    largest, elements = 0.0, 0
    for left, right in pieces(first, second):
        # Of one dtype as they are: a float64 doesn't hold every int64.
        a, b = _wide(left), _wide(right)
        equal = left == right if left.dtype == right.dtype else a == b
        same = equal | (np.isnan(a) & np.isnan(b))
        if same.all():
            continue
        elements += int(same.size - same.sum())
        finite = np.isfinite(a) & np.isfinite(b)
        if finite.any():
            largest = max(largest, float(np.abs(a[finite] - b[finite]).max()))
    return Difference(largest, elements)
