"""The comparator: pure functions over arrays, from two outputs to a verdict.

Shape and dtype before values; not a number fails before any number is compared; every element
counts. The reference is the float64 output.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

# Largest relative L2 difference between the two frameworks, logits and layers alike.
#
# float64: with the same batch-norm epsilon the logits differ by 2.3e-15 (depth 50) to 2.1e-14
# (152); 1e-12 leaves room for other blockings of the sums and none for a different function: a
# single weight changed in its sixth digit shows.
# float32: 2.2e-6 (50) to 2.0e-5 (152), each framework as far from float64 as from the other; 1e-4
# leaves room for other kernels and still shows a missing epsilon or TF32 (1e-3).
TOLERANCES = {"float64": 1e-12, "float32": 1e-4}

_CHUNK = 1 << 20  # elements compared at a time, so that memory stays small at any depth


@dataclass(frozen=True)
class Comparison:
    """One output in both frameworks, at one precision."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    passed: bool
    problem: str = ""  # why it failed
    max_abs: float = math.nan  # largest |torch - paddle|
    relative_l2: float = math.nan  # ||torch - paddle|| / ||reference||
    torch_error: float = math.nan  # ||torch - reference|| / ||reference||
    paddle_error: float = math.nan
    bit_equal: bool = False

    def as_json(self) -> dict[str, Any]:
        """Plain data; what was not measured is null, since JSON has no NaN."""
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(self).items()
        }


@dataclass
class _Sums:
    """What one pass over the elements gathers."""

    difference: float = 0.0
    torch_error: float = 0.0
    paddle_error: float = 0.0
    reference: float = 0.0
    max_abs: float = 0.0
    bit_equal: bool = True


def _first_problem(torch: np.ndarray | None, paddle: np.ndarray | None, dtype: str) -> str:
    """What forbids comparing values at all, "" where nothing does."""
    if torch is None or paddle is None:
        return f"no output from {'torch' if torch is None else 'paddle'}"
    if torch.shape != paddle.shape:
        return f"shapes differ: torch {list(torch.shape)}, paddle {list(paddle.shape)}"
    for side, array in (("torch", torch), ("paddle", paddle)):
        if array.dtype != np.dtype(dtype):
            return f"dtype: {side} gave {array.dtype}, {dtype} was asked"
        if not array.size:
            return f"{side} gave an empty output"
    return ""


def _chunks(*arrays: np.ndarray) -> Any:
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, flat[0].size, _CHUNK):
        yield tuple(array[start : start + _CHUNK] for array in flat)


def _not_finite(torch: np.ndarray, paddle: np.ndarray, reference: np.ndarray) -> str:
    """Which side holds NaN or infinity, and how many, "" for none."""
    counts = [0, 0, 0]
    for parts in _chunks(torch, paddle, reference):
        for side, part in enumerate(parts):
            counts[side] += part.size - int(np.isfinite(part).sum())
    named = zip(("torch", "paddle", "the float64 reference"), counts, strict=True)
    bad = [f"{count} of {torch.size} in {side}" for side, count in named if count]
    return f"NaN or infinity: {', '.join(bad)}" if bad else ""


def _square_sum(array: np.ndarray) -> float:
    return float(np.dot(array, array))


def _sum_up(torch: np.ndarray, paddle: np.ndarray, reference: np.ndarray) -> _Sums:
    """One pass in float64; NaN and infinity anywhere make a sum not finite."""
    sums = _Sums()
    bits = np.dtype(f"u{torch.dtype.itemsize}")
    for t, p, r in _chunks(torch, paddle, reference):
        sums.bit_equal = sums.bit_equal and np.array_equal(t.view(bits), p.view(bits))
        t, p, r = (np.asarray(part, dtype=np.float64) for part in (t, p, r))
        difference = t - p
        sums.max_abs = max(sums.max_abs, float(np.abs(difference).max()))
        sums.difference += _square_sum(difference)
        sums.torch_error += _square_sum(t - r)
        sums.paddle_error += _square_sum(p - r)
        sums.reference += _square_sum(r)
    return sums


def _ratio(part: float, whole: float) -> float:
    """Ratio of two norms from their squares; a difference from an all-zero output is infinite."""
    if whole == 0:
        return 0.0 if part == 0 else math.inf
    if not math.isfinite(part):
        return math.inf
    return math.sqrt(part / whole)


def compare(
    name: str,
    torch: np.ndarray | None,
    paddle: np.ndarray | None,
    reference: np.ndarray | None,
    precision: str,
) -> Comparison:
    """Compare one output of both frameworks, and each with the float64 ``reference``.

    Arrays of any one shape; ``precision`` is a key of TOLERANCES and the dtype that both must
    have. None stands for an output that was not produced, and fails.
    """
    there = torch if torch is not None else paddle
    shape = tuple(there.shape) if there is not None else ()
    problem = _first_problem(torch, paddle, precision)
    if not problem and (reference is None or reference.shape != shape):
        problem = "no float64 reference of the same shape"
    if problem or torch is None or paddle is None or reference is None:
        return Comparison(name, shape, precision, False, problem)
    with np.errstate(invalid="ignore", over="ignore"):
        sums = _sum_up(torch, paddle, reference)
    squares = (sums.difference, sums.torch_error, sums.paddle_error, sums.reference)
    if not all(map(math.isfinite, squares)) and (gate := _not_finite(torch, paddle, reference)):
        return Comparison(name, shape, precision, False, gate)
    relative = _ratio(sums.difference, sums.reference)
    if sums.reference == 0 and sums.max_abs > 0:  # squares that small are zero in float64
        relative = math.inf
    tolerance = TOLERANCES[precision]
    # Written so that NaN can't pass: a comparison with it is false.
    passed = relative <= tolerance
    return Comparison(
        name,
        shape,
        precision,
        passed,
        "" if passed else f"relative L2 {relative:.1e} is over {tolerance:.0e}",
        sums.max_abs,
        relative,
        _ratio(sums.torch_error, sums.reference),
        _ratio(sums.paddle_error, sums.reference),
        sums.bit_equal,
    )
