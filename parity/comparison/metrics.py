"""The metrics of two outputs and their reference: one pass over the elements, in pieces.

A unit of the last place (ulp) is ``epsilon`` times the element's magnitude in the reference, but
no less than the magnitude of the whole output (its root mean square): an element near zero is the
difference of large ones, and owes its error to them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

_CHUNK = 1 << 16  # elements at a time: in float64 half a megabyte, which stays in the cache
SAMPLE = 1 << 14  # elements of an output, drawn at random, for its quantiles and histograms
QUANTILES = (0.5, 0.9, 0.99)
# Bins of the histograms of errors in ulps: 0, then up to each of these, then all above.
_LEAST_POWER = -3
EDGES = tuple(2.0**power for power in range(_LEAST_POWER, 13))


@dataclass(frozen=True)
class Metrics:
    """Of one output; see ``compare.Comparison`` for the fields."""

    relative_l2: float
    torch_error: float
    paddle_error: float
    max_abs: float
    max_rel: float
    max_ulps: float
    cosine: float
    bit_equal: bool
    quantiles: dict[str, float] = field(default_factory=dict)
    histogram: dict[str, list[int]] = field(default_factory=dict)


@dataclass
class _Sums:
    """What one pass gathers: sums of squares and products, and maxima."""

    difference: float = 0.0
    torch_error: float = 0.0
    paddle_error: float = 0.0
    torch: float = 0.0
    paddle: float = 0.0
    product: float = 0.0
    max_abs: float = 0.0
    max_rel: float = 0.0
    max_ulps: float = 0.0
    bit_equal: bool = True


def _chunks(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, flat[0].size, _CHUNK):
        yield tuple(array[start : start + _CHUNK] for array in flat)


def _bits(array: np.ndarray) -> np.ndarray:
    return array.view(np.dtype(f"u{array.dtype.itemsize}"))


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.dot(a, b))


def not_finite(torch: np.ndarray, paddle: np.ndarray, reference: np.ndarray) -> str:
    """Which side holds how many NaNs and infinities, "" where none does."""
    counts = [0, 0, 0]
    for parts in _chunks(torch, paddle, reference):
        for side, part in enumerate(parts):
            counts[side] += part.size - int(np.isfinite(part).sum())
    named = zip(("torch", "paddle", "the float64 reference"), counts, strict=True)
    bad = [f"{count} of {torch.size} in {side}" for side, count in named if count]
    return f"NaN or infinity: {', '.join(bad)}" if bad else ""


def _sum_up(
    torch: np.ndarray, paddle: np.ndarray, reference: np.ndarray, unit: float, least: float
) -> _Sums:
    """One pass in float64; NaN and infinity anywhere make a sum not finite."""
    sums = _Sums()
    own = paddle is reference  # then Paddle has no error of its own, and nothing is computed twice
    for t, p, r in _chunks(torch, paddle, reference):
        if sums.bit_equal:
            sums.bit_equal = np.array_equal(_bits(t), _bits(p))
        t, p = (np.asarray(part, dtype=np.float64) for part in (t, p))
        difference = np.abs(t - p)
        sums.difference += _dot(difference, difference)
        sums.torch += _dot(t, t)
        sums.paddle += _dot(p, p)
        sums.product += _dot(t, p)
        if not own:
            for side, part in (("torch_error", t), ("paddle_error", p)):
                error = part - r
                setattr(sums, side, getattr(sums, side) + _dot(error, error))
        largest = float(difference.max())
        if not largest:
            continue
        sums.max_abs = max(sums.max_abs, largest)
        magnitude = np.maximum(np.abs(t), np.abs(p))
        np.maximum(magnitude, np.finfo(np.float64).tiny, out=magnitude)
        sums.max_rel = max(sums.max_rel, float((difference / magnitude).max()))
        np.maximum(np.abs(r, out=magnitude), least, out=magnitude)
        sums.max_ulps = max(sums.max_ulps, float((difference / magnitude).max()) / unit)
    if own:
        sums.torch_error = sums.difference
    return sums


def _ratio(part: float, whole: float) -> float:
    """Ratio of two norms from their squares; a difference from an all-zero output is infinite."""
    if whole == 0:
        return 0.0 if part == 0 else math.inf
    if not math.isfinite(part):
        return math.inf
    return math.sqrt(part / whole)


def _cosine(sums: _Sums) -> float:
    if not sums.torch or not sums.paddle:
        return 1.0 if sums.torch == sums.paddle else 0.0
    return sums.product / math.sqrt(sums.torch) / math.sqrt(sums.paddle)


def in_ulps(
    first: np.ndarray, second: np.ndarray, reference: np.ndarray, unit: float, least: float
) -> np.ndarray:
    """|first - second| in units of the last place of ``reference``, at least of ``least``."""
    difference = np.abs(first.astype(np.float64) - second.astype(np.float64))
    scale = unit * np.maximum(np.abs(reference), least)
    ulps: np.ndarray = np.divide(
        difference, scale, out=np.zeros_like(difference), where=difference > 0
    )
    return ulps


def histogram(ulps: np.ndarray) -> list[int]:
    """How many are 0, how many up to each of EDGES, and how many above."""
    mantissa, exponent = np.frexp(ulps[ulps > 0])
    power = exponent - (mantissa == 0.5)  # the least power of two that is not below
    bins = np.clip(power - _LEAST_POWER, 0, len(EDGES))
    counts = np.bincount(bins, minlength=len(EDGES) + 1)
    return [int((ulps == 0).sum()), *map(int, counts)]


def _distributions(
    torch: np.ndarray, paddle: np.ndarray, reference: np.ndarray, unit: float, least: float
) -> tuple[dict[str, float], dict[str, list[int]]]:
    """(quantiles, histograms) of all elements, of a sample where there are many."""
    t, p, r = (array.reshape(-1) for array in (torch, paddle, reference))
    if t.size > SAMPLE:  # not every n-th: that would see some columns of an image and no others
        drawn = np.random.default_rng(0).integers(t.size, size=SAMPLE)
        t, p, r = t[drawn], p[drawn], r[drawn]
    between = in_ulps(t, p, r, unit, least)
    errors = {"between": between, "torch": in_ulps(t, r, r, unit, least)}
    errors["paddle"] = in_ulps(p, r, r, unit, least)
    values = np.quantile(between, QUANTILES)
    quantiles = {str(q): float(value) for q, value in zip(QUANTILES, values, strict=True)}
    return quantiles, {name: histogram(ulps) for name, ulps in errors.items()}


def measure(
    torch: np.ndarray,
    paddle: np.ndarray,
    reference: np.ndarray,
    unit: float,
    distributed: bool = True,
) -> Metrics | str:
    """Compare arrays of one shape; a sentence where one holds NaN or infinity.

    ``reference`` is float64, and may be ``paddle`` itself; ``unit`` is the precision's epsilon;
    ``distributed`` asks for quantiles and histograms.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        square = sum(_dot(part, part) for (part,) in _chunks(reference))
        least = math.sqrt(square / reference.size) or float(np.finfo(np.float64).tiny)
        sums = _sum_up(torch, paddle, reference, unit, least)
    squares = (sums.difference, sums.torch, sums.paddle, square)
    if not all(map(math.isfinite, squares)) and (gate := not_finite(torch, paddle, reference)):
        return gate
    relative = _ratio(sums.difference, square)
    if square == 0 and sums.max_abs > 0:  # squares that small are zero in float64
        relative = math.inf
    distributions: tuple[dict[str, float], dict[str, list[int]]] = ({}, {})
    if distributed:
        distributions = _distributions(torch, paddle, reference, unit, least)
    return Metrics(
        relative,
        _ratio(sums.torch_error, square),
        _ratio(sums.paddle_error, square),
        sums.max_abs,
        sums.max_rel,
        sums.max_ulps,
        _cosine(sums),
        sums.bit_equal,
        *distributions,
    )
