"""Tensors of two sides, name by name: what is equal passes, and each way to differ is told."""

from __future__ import annotations

from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest

from parity.comparison import weights
from parity.comparison.weights import TensorComparison, compare_tensors

Tensors = dict[str, np.ndarray]


def tensors() -> Tensors:
    random = np.random.default_rng(3)
    return {
        "conv": random.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "fc": random.standard_normal((5, 5)).astype(np.float32),
        "mean": random.standard_normal(4).astype(np.float32),
        "scalar": np.array(2.5, np.float32),
        "broken": np.array([np.nan, np.inf, -np.inf, 1], np.float32),
    }


def put(name: str, at: tuple[int, ...], value: float) -> Callable[[Tensors], None]:
    return lambda arrays: arrays[name].__setitem__(at, value)


def replaced(name: str, make: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensors], None]:
    return lambda arrays: arrays.update({name: make(arrays[name])})


EQUAL: dict[str, Callable[[Tensors], None]] = {
    "nothing": lambda arrays: None,
    "another dtype": replaced("fc", lambda x: x.astype(np.float64)),
    "a view": replaced("fc", lambda x: np.asfortranarray(x)),
}
DIFFERENT: dict[str, tuple[Callable[[Tensors], None], str, str]] = {
    "one value by one ulp": (
        replaced("conv", lambda x: np.where(x == x.max(), np.nextafter(x, np.float32(9)), x)),
        "conv", "1 of 108 values differ, by at most ",
    ),
    "untransposed": (replaced("fc", lambda x: x.T.copy()), "fc", "20 of 25 values differ"),
    "a channel": (put("conv", (2,), 7.0), "conv", "27 of 108 values differ"),
    "a statistic": (replaced("mean", lambda x: x - 2), "mean", "by at most 2.0e+00"),
    "a scalar": (put("scalar", (), 3.5), "scalar", "1 of 1 values differ, by at most 1.0e+00"),
    "NaN on one side": (
        put("mean", (1,), np.nan), "mean", "1 of 4 values differ; 1 are NaN or infinite",
    ),
    "a number for a NaN": (put("broken", (0,), 0.0), "broken", "1 are NaN or infinite on one side"),
    "the other infinity": (put("broken", (1,), -np.inf), "broken", "1 of 4 values differ; 1 are"),
    "shape": (replaced("mean", lambda x: x[:3]), "mean", "shapes differ: torch [3], paddle [4]"),
    "missing": (lambda arrays: arrays.pop("fc"), "fc", "not in torch's"),
    "one too many": (lambda arrays: arrays.update(new=np.ones(1)), "new", "not in paddle's"),
    "rounded": (
        replaced("fc", lambda x: x.astype(ml_dtypes.bfloat16)), "fc", "of 25 values differ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", EQUAL.values(), ids=EQUAL)
def test_equal_values_are_equal_tensors(change: Callable[[Tensors], None]) -> None:
    changed = tensors()
    change(changed)
    assert compare_tensors(changed, tensors()) == TensorComparison(5)


@pytest.mark.parametrize(("change", "name", "problem"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_differs_is_named(change: Callable[[Tensors], None], name: str, problem: str) -> None:
    changed = tensors()
    change(changed)
    (difference,) = compare_tensors(changed, tensors()).different
    assert difference.name == name
    assert problem in difference.problem
    if "not in" not in problem and "shapes" not in problem:  # and the other way round
        (back,) = compare_tensors(tensors(), changed).different
        assert back == difference


def test_the_sign_of_zero_is_no_difference() -> None:
    assert compare_tensors({"w": np.array([-0.0])}, {"w": np.array([0.0])}).different == ()


def test_large_tensors_are_compared_to_their_last_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_VALUES", 10)  # pieces of two rows
    left = {"w": np.zeros((7, 5))}
    for place in [(0, 0), (3, 4), (6, 4)]:
        right = {"w": np.zeros((7, 5))}
        right["w"][place] = 1e-300
        (difference,) = compare_tensors(left, right).different
        assert difference.problem == "1 of 35 values differ, by at most 1.0e-300"
    assert compare_tensors({"w": np.zeros((0, 4))}, {"w": np.ones((0, 4))}).different == ()


def test_values_too_far_apart_for_float64_differ() -> None:
    largest = np.finfo(np.float64).max
    (difference,) = compare_tensors(
        {"w": np.array([largest])}, {"w": np.array([-largest])}
    ).different
    assert difference.problem == "1 of 1 values differ, by at most inf"
