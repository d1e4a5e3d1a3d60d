"""The comparator: pure functions over arrays, from two outputs to a verdict.

Shape and dtype before values; not a number fails before any number is compared; every element
counts. The reference is the float64 output.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from parity.comparison import metrics
from parity.comparison.precision import FACTOR, PRECISIONS, Precision


@dataclass(frozen=True)
class Comparison:
    """One output in both frameworks, at one precision. What was not measured is NaN."""

    name: str
    shape: tuple[int, ...]
    precision: str
    passed: bool
    problem: str = ""  # why it failed
    allowed: float = math.nan  # relative L2
    relative_l2: float = math.nan  # ||torch - paddle|| / ||reference||
    torch_error: float = math.nan  # ||torch - reference|| / ||reference||
    paddle_error: float = math.nan
    torch_ulps: float = math.nan  # the same over the precision's epsilon
    paddle_ulps: float = math.nan
    max_abs: float = math.nan  # largest |torch - paddle|
    max_rel: float = math.nan  # largest |torch - paddle| / max(|torch|, |paddle|)
    max_ulps: float = math.nan  # largest |torch - paddle| in units of the last place; see metrics
    cosine: float = math.nan
    bit_equal: bool = False
    step: int = 0  # of training
    explained: str = ""  # a known difference that was removed before comparing
    unexplained_l2: float = math.nan  # relative L2 before that
    # Of |torch - paddle| in units of the last place, over a sample of the elements.
    quantiles: dict[str, float] = field(default_factory=dict)
    histogram: dict[str, list[int]] = field(default_factory=dict)  # see metrics.EDGES

    @property
    def nearer(self) -> str:
        """The framework nearer to float64: torch, paddle, or "" where they are within a tenth."""
        torch, paddle = self.torch_error, self.paddle_error
        if not torch > 1.1 * paddle and not paddle > 1.1 * torch:
            return ""
        return "torch" if torch < paddle else "paddle"

    def as_json(self) -> dict[str, Any]:
        """Plain data, to six digits; what was not measured is null, since JSON has no NaN.

        What failed has its difference and bound in full: they may be alike in six digits.
        """
        plain = {key: _plain(value) for key, value in asdict(self).items()}
        if not self.passed:
            plain |= {key: _plain(getattr(self, key), 17) for key in ("relative_l2", "allowed")}
        return {**plain, "cosine": _plain(self.cosine, 17), "nearer": self.nearer}


def apart(value: float, limit: float) -> tuple[str, str]:
    """Both as text, with as many digits as it takes to tell them apart, at least two."""
    for digits in range(1, 17):
        texts = f"{value:.{digits}e}", f"{limit:.{digits}e}"
        if texts[0] != texts[1]:
            break
    return texts


def _plain(value: Any, digits: int = 6) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner, digits) for key, inner in value.items()}
    if not isinstance(value, float):
        return value
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def _first_problem(
    torch: np.ndarray | None,
    paddle: np.ndarray | None,
    reference: np.ndarray | None,
    precision: Precision,
) -> str:
    """Why the values can't be compared at all, "" where they can."""
    if torch is None or paddle is None:
        return f"no output from {'torch' if torch is None else 'paddle'}"
    if torch.shape != paddle.shape:
        return f"shapes differ: torch {list(torch.shape)}, paddle {list(paddle.shape)}"
    for side, array in (("torch", torch), ("paddle", paddle)):
        if array.dtype.name != precision.dtype:
            return f"dtype: {side} gave {array.dtype}, {precision.dtype} was asked for"
        if not array.size:
            return f"{side} gave an empty output"
    if reference is None or reference.shape != torch.shape:
        return "no float64 reference of the same shape"
    return ""


def allowed(precision: Precision, what: str, errors: tuple[float, float]) -> float:
    """The largest relative L2 difference that passes: the bound, or less where both are precise."""
    bound: float = getattr(precision, what)
    # In float64 one of the two is the reference, which has no error. In gradients, and in weights
    # that gradients moved, one element behind a ReLU may be all of a framework's own error.
    if precision.name == "float64" or what in ("gradient", "step"):
        return bound
    return min(bound, FACTOR * max(precision.epsilon, min(errors)))


def compare(
    name: str,
    torch: np.ndarray | None,
    paddle: np.ndarray | None,
    reference: np.ndarray | None,
    precision: str,
    what: str = "layer",
    step: int = 0,
) -> Comparison:
    """Compare one output of both frameworks, and each with the float64 ``reference``.

    Arrays of any one shape; ``precision`` is a key of PRECISIONS, whose dtype both must have;
    ``what`` (logits, layer, gradient or step) chooses its outer bound. None stands for an output
    that was not produced, and fails.
    """
    row = PRECISIONS[precision]
    there = torch if torch is not None else paddle
    shape = tuple(there.shape) if there is not None else ()
    problem = _first_problem(torch, paddle, reference, row)
    if problem or torch is None or paddle is None or reference is None:
        return Comparison(name, shape, precision, False, problem, step=step)
    distributed = what != "step"  # of thousands, the figures say enough
    measured = metrics.measure(torch, paddle, reference, row.epsilon, distributed)
    if isinstance(measured, str):
        return Comparison(name, shape, precision, False, measured, step=step)
    limit = allowed(row, what, (measured.torch_error, measured.paddle_error))
    # Written so that NaN can't pass: a comparison with it is false.
    relative = measured.relative_l2
    passed = relative <= limit
    shown, most = apart(relative, limit)
    problem = "" if passed else f"relative L2 {shown} is over {most}"
    return Comparison(
        name,
        shape,
        precision,
        passed,
        problem,
        limit,
        step=step,
        torch_ulps=measured.torch_error / row.epsilon,
        paddle_ulps=measured.paddle_error / row.epsilon,
        **vars(measured),
    )
