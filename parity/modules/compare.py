"""Two modules or functions of one process, compared by their outputs and running statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from parity.comparison.compare import Comparison, compare
from parity.modules.calls import INPUT, OUTPUT, call, precision_of, to_array, to_float64, widened
from parity.modules.statistics import compare_statistics, statistics_of


def compare_modules(
    first: Any,
    second: Any,
    inputs: Any,
    names: Mapping[str, str] | None = None,
) -> list[Comparison]:
    """The comparisons of the named submodules in order, and then of the output."""
    several = isinstance(inputs, (list, tuple))
    arrays = [to_array(value, "inputs") for value in (inputs if several else [inputs])]
    names = names or {}
    precision = precision_of(arrays)
    wide = None if precision == "float64" else widened(second)  # before a call moves statistics
    before = statistics_of(first), statistics_of(second)
    first_outputs = call(first, list(names), arrays)
    second_outputs = call(second, list(names.values()), arrays)
    reference = second_outputs
    if wide is not None:
        reference = call(wide, list(names.values()), to_float64(arrays))
    # As they were computed: a leaf ends before the container that holds it.
    order = [name for name in first_outputs if name in names]
    order += [name for name in names if name not in first_outputs]
    pairs = [*((name, names[name]) for name in order), (OUTPUT, OUTPUT)]

    def judge(a: str, b: str, ending: str = "") -> Comparison:
        label = a if a == b else f"{a} / {b}"
        sides = first_outputs.get(a + ending), second_outputs.get(b + ending)
        return compare(label + ending, *sides, _checked(reference.get(b + ending), b), precision)

    comparisons = [_placed(judge(a, b), partial(judge, a, b, INPUT)) for a, b in pairs]
    after = statistics_of(first), statistics_of(second)
    exact = after[1] if wide is None else statistics_of(wide)
    return comparisons + compare_statistics(before, after, exact, precision)


def _placed(output: Comparison, its_input: Callable[[], Comparison]) -> Comparison:
    """A module that differs, with a word on whether what comes into it differs already."""
    if output.passed or output.name == OUTPUT:
        return output
    given = its_input()
    if given.passed or given.problem.startswith("no output"):
        return output
    where = (
        f"{output.problem}; what comes into it differs already ({given.problem}): look at what "
        "stands before it, not at itself"
    )
    return replace(output, problem=where)


def _checked(reference: np.ndarray | None, name: str) -> np.ndarray | None:
    if reference is not None and reference.dtype != np.float64:
        raise ValueError(
            f"{name}: the second side gives {reference.dtype} for float64 inputs, so there is no "
            "reference to measure rounding by; let it compute in its inputs' dtype"
        )
    return reference
