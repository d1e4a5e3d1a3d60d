"""The running statistics that a call in training mode leaves.

With another momentum outputs are equal, and these are not. Variances are not compared: PyTorch's is
n/(n-1) times Paddle's, and n is the call's.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from parity.comparison.compare import Comparison, allowed, apart
from parity.comparison.precision import PRECISIONS
from parity.modules.calls import Arrays, framework_of, to_array

_VARIANCE = {"running_mean": "running_var", "_mean": "_variance"}  # a mean's ending: its variance's


def statistics_of(side: Any) -> Arrays:
    """A module's running means and variances by name, in order, as they stand; float64."""
    if not framework_of(side):
        return {}
    # Not buffers: Paddle keeps them as parameters.
    tensors = side.state_dict().items()
    endings = (*_VARIANCE, *_VARIANCE.values())
    kept = ((key, value) for key, value in tensors if key.endswith(endings))
    return {name: to_array(value, name).astype(np.float64) for name, value in kept}


def _means(statistics: Arrays) -> Arrays:
    return {name: x for name, x in statistics.items() if name.endswith(tuple(_VARIANCE))}


def _scale(statistics: Arrays, name: str) -> float:
    """What an error of a mean is measured by: the size of the values that it is the mean of.

    A centred batch has a mean near 0, which is all rounding: of the values, not of the mean.
    """
    ending = next(end for end in _VARIANCE if name.endswith(end))
    variance = statistics.get(name.removesuffix(ending) + _VARIANCE[ending])
    squares = statistics[name] ** 2 + (0.0 if variance is None else np.abs(variance))
    return math.sqrt(float(squares.sum())) or 1.0


def compare_statistics(
    before: tuple[Arrays, Arrays], after: tuple[Arrays, Arrays], wide: Arrays, precision: str
) -> list[Comparison]:
    """The running means that a call in training mode left; nothing where it moved none.

    Paired in the modules' order. ``wide`` are the second's after the same call in float64: as for
    outputs, means may differ by what either is away from them.
    """
    old_and_new = zip(map(_means, before), map(_means, after), strict=True)
    if not any(np.any(new[n] != old[n]) for old, new in old_and_new for n in old):
        return []
    pairs = itertools.zip_longest(*map(_means, after), fillvalue="nothing")
    return [_mean(f"{a} / {b}", after[0].get(a), after[1].get(b), (wide, b), precision)
            for a, b in pairs]  # fmt: skip


def _mean(
    name: str,
    first: np.ndarray | None,
    second: np.ndarray | None,
    reference: tuple[Arrays, str],
    precision: str,
) -> Comparison:
    """One running mean of both sides, as the comparison of an output."""
    there = first if first is not None else second
    shape = () if there is None else tuple(there.shape)
    if first is None or second is None or first.shape != second.shape:
        shapes = (None if side is None else side.shape for side in (first, second))
        problem = "statistics after training mode: shapes {} and {}".format(*shapes)
        return Comparison(name, shape, precision, False, problem)
    scale, exact = _scale(*reference), reference[0][reference[1]]
    pairs = ((first, second), (first, exact), (second, exact))
    distance, *errors = (float(np.linalg.norm(a - b)) / scale for a, b in pairs)
    limit = allowed(PRECISIONS[precision], "layer", (errors[0], errors[1]))
    problem = (
        "statistics after a call in training mode differ: relative L2 {} is over {}; compare the "
        "batch norms' momentum, of which Paddle's is 1 - PyTorch's"
    ).format(*apart(distance, limit))
    passed = distance <= limit
    return Comparison(
        name,
        shape,
        precision,
        passed,
        "" if passed else problem,
        limit,
        distance,
        torch_error=errors[0],
        paddle_error=errors[1],
        max_abs=float(np.abs(first - second).max(initial=0.0)),
    )
