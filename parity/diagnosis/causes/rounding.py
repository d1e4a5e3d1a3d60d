"""Guesses about precision: numbers kept, or multiplied, with fewer bits than was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import ml_dtypes
import numpy as np

from parity.diagnosis.causes.flow import rerun
from parity.diagnosis.view import ROUNDING, Array, Guess, View


def _kept_in(dtype: type) -> Callable[[Array], Array]:
    def rounded(x: Array) -> Array:
        with np.errstate(over="ignore"):
            return x.astype(dtype).astype(np.float64)

    return rounded


def _tf32(x: Array, half: int) -> Array:
    """A float32 with 10 bits of mantissa; ``half`` of the last of them is added first."""
    bits = x.astype(np.float32).view(np.uint32) + np.uint32(half)
    return (bits & np.uint32(0xFFFFE000)).view(np.float32).astype(np.float64)


_FORMATS: dict[str, Callable[[Array], Array]] = {
    "bfloat16": _kept_in(ml_dtypes.bfloat16),
    "float16": _kept_in(np.float16),
    "float32": _kept_in(np.float32),
}
_FACTORS = {
    "TF32": lambda x: _tf32(x, 0x1000),
    "TF32 (cut off, not rounded)": lambda x: _tf32(x, 0),
    **_FORMATS,
}


def tensors_kept(view: View) -> Iterator[Guess]:
    """The layer's tensors rounded to a smaller format, as a checkpoint in half precision has."""
    own = view.step.parameters
    for name in ("bfloat16", "float16"):
        tensors = {role: _FORMATS[name](x) for role, x in own.items()}
        if any(not np.array_equal(own[role], x) for role, x in tensors.items()):
            yield Guess(name, view.recompute(**tensors))


def output_kept(view: View) -> Iterator[Guess]:
    """Outputs each of which is a number of a smaller format, as by chance they never are."""
    if view.given.shape != view.expected.shape or not view.given.any():
        return
    for name, rounded in _FORMATS.items():
        if ROUNDING[name] <= ROUNDING[view.case.precision]:
            continue
        if np.array_equal(rounded(view.given), view.given) and not (
            np.array_equal(rounded(view.expected), view.expected)
        ):
            yield Guess(f"its outputs are {name}'s", rounded(view.expected), ROUNDING[name])
            return


def factors_rounded(view: View) -> Iterator[Guess]:
    """Inputs and weights rounded before they are multiplied.

    The port's own sums round too, so what is left of the difference is held against the
    difference itself: a tenth of it at most.
    """
    if view.given.shape != view.expected.shape:
        return
    for name, rounded in _FACTORS.items():
        inputs = tuple(rounded(x) for x in view.inputs)
        parameters = {role: rounded(x) for role, x in view.step.parameters.items()}
        output = rerun(view, inputs, parameters)
        detail = f"its inputs and weights are rounded to {name}"
        yield Guess(detail, output, view.difference / 10)
