"""The tests' own bounds can fail: what they let pass is rounding, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from parity.comparison.precision import FACTOR
from tests.helpers.bounds import excess, spread

SHAPE = (4, 250)
EXACT = np.random.default_rng(0).standard_normal(SHAPE)


def rounded(seed: int, size: float = 1e-6) -> np.ndarray:
    """The numbers as a kernel would leave them, each off by about ``size`` of the usual one."""
    noise = size * np.random.default_rng(seed).standard_normal(SHAPE)
    return (EXACT + noise).astype(np.float32)


def test_two_roundings_pass() -> None:
    assert 0.01 < excess(rounded(1), rounded(2), EXACT) < 0.5
    assert excess(rounded(1), rounded(1), EXACT) < 0.02
    # One side is as near as float32 can be, or is float64 itself: an epsilon is allowed for.
    near = EXACT.astype(np.float32)
    assert excess(near, EXACT, EXACT) < 0.2
    assert excess(near, rounded(1, 1e-7), EXACT) < 1


def poked(array: np.ndarray, value: float) -> np.ndarray:
    array = array.copy()
    array[1, 3] += value
    return array


MUTATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "all a little too large": lambda x: x * np.float32(1 + 2e-5),
    "one element": lambda x: poked(x, 5e-5),
    "one element is no number": lambda x: poked(x, np.nan),
    "one element is infinite": lambda x: poked(x, np.inf),
    "two rows swapped": lambda x: x[[1, 0, 2, 3]],
    "transposed": lambda x: x.T,
    "a coarser precision": lambda x: x.astype(np.float16).astype(np.float32),
    "nothing": np.zeros_like,
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_fault_of_either_side_or_of_the_reference_is_seen(mutation: str) -> None:
    change = MUTATIONS[mutation]
    one, other = rounded(1), rounded(2)
    assert excess(change(one), other, EXACT) > 1
    assert excess(one, change(other), EXACT) > 1


def test_results_that_are_both_far_from_float64_are_no_rounding_of_it() -> None:
    """Or a fault that both have, or another network's float64, would widen what is let pass."""
    for wrong in (EXACT * 1.001, EXACT[::-1], np.ones(SHAPE)):
        assert excess(rounded(1), rounded(2), wrong) > 1
        assert excess(rounded(1), rounded(1), wrong) > 1


@pytest.mark.parametrize("scale", [1e-6, 1e-5])
def test_the_verdict_turns_at_the_multiple_of_the_smaller_error(scale: float) -> None:
    """Also where the other side's error is large: a fault widens nothing."""
    signs = np.sign(EXACT)
    precise = EXACT + scale * np.linalg.norm(EXACT) / np.sqrt(EXACT.size) * signs
    for times, verdict in ((0.9, True), (1.1, False)):
        other = precise + FACTOR * times * (precise - EXACT)
        assert (excess(precise, other, EXACT) <= 1) is verdict
        assert (excess(other, precise, EXACT) <= 1) is verdict


def test_long_sums_may_be_rounded_in_one_order_or_another() -> None:
    precise, coarse = rounded(1, 2e-7), rounded(2, 2e-6)
    assert excess(precise, coarse, EXACT) > 1
    assert excess(precise, coarse, EXACT, terms=576) <= 1
    assert excess(precise, rounded(2, 2e-5), EXACT, terms=576) > 1
    assert excess(precise, coarse, EXACT, terms=9) > 1  # never less than the usual multiple


def test_what_is_more_sensitive_than_logits_may_be_further_from_float64() -> None:
    """By so many times and no more; how far apart the two may be stays as it is."""
    one, other = EXACT * (1 + 2e-4), EXACT * (1 + 2.1e-4)
    assert excess(one, other, EXACT) > 1
    assert excess(one, other, EXACT, condition=3) <= 1
    assert excess(one, other, EXACT, condition=1.5) > 1
    assert excess(one, EXACT * 1.01, EXACT, condition=3) > 1


def test_coarser_precisions_round_more() -> None:
    half = rounded(1, 1e-2), rounded(2, 1e-2)
    assert excess(*half, EXACT, "bfloat16") <= 1
    assert excess(EXACT, half[0], EXACT, "bfloat16") <= 1
    assert excess(EXACT, half[0], EXACT) > 1


def test_errors_of_one_size_and_of_several() -> None:
    assert spread([2e-7, 3e-7, 9e-7]) <= 1
    assert spread([1e-9, 2e-7]) <= 1  # better than an epsilon is as good as one
    assert spread([2e-7, 3e-7, 2e-5]) > 1
    assert spread([2e-7, math.nan]) == math.inf
    assert spread([math.nan, 2e-7]) == math.inf
