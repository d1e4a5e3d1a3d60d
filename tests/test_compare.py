"""The comparator on arrays: what passes, and that everything else fails."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.compare import TOLERANCES, compare

RANDOM = np.random.default_rng(3)
REFERENCE = RANDOM.standard_normal((2, 5, 7))
SIDES = ("torch", "paddle", "reference")
Outputs = dict[str, "np.ndarray | None"]


def in_precision(array: np.ndarray, precision: str) -> np.ndarray:
    return array.astype(precision)


@pytest.mark.parametrize("precision", TOLERANCES)
def test_equal_outputs_pass_and_are_bit_equal(precision: str) -> None:
    output = in_precision(REFERENCE, precision)
    found = compare("x", output, output.copy(), REFERENCE, precision)
    assert found.passed
    assert found.bit_equal
    assert found.max_abs == found.relative_l2 == 0
    assert found.torch_error == found.paddle_error < 1e-7


@pytest.mark.parametrize("precision", TOLERANCES)
@given(factor=st.floats(1e-3, 1e3))
def test_the_tolerance_is_where_the_verdict_turns(precision: str, factor: float) -> None:
    output = in_precision(np.ones(100), precision)
    other = output.copy()
    other[3] += factor * TOLERANCES[precision] * np.sqrt(100)
    moved = abs(float(other[3]) - 1) / np.sqrt(100)
    found = compare("x", output, other, np.ones(100), precision)
    assert found.relative_l2 == pytest.approx(moved, abs=1e-15)
    assert found.passed == (found.relative_l2 <= TOLERANCES[precision])
    assert bool(found.problem) == (not found.passed)


def put(side: str, where, value) -> Callable[[Outputs], None]:
    """A mutation that sets elements of one side's flat output."""

    def change(outputs: Outputs) -> None:
        flat = outputs[side].reshape(-1)
        flat[where] = value(flat[where]) if callable(value) else value

    return change


def become(side: str, value: Callable[[np.ndarray], np.ndarray | None]) -> Callable:
    """A mutation that puts another array in one side's place."""
    return lambda outputs: outputs.__setitem__(side, value(outputs[side]))


def both(*changes: Callable[[Outputs], None]) -> Callable[[Outputs], None]:
    return lambda outputs: [change(outputs) for change in changes]


MUTATIONS = {
    "one element": put("torch", 11, lambda x: x + 1e-9),
    "one element of paddle": put("paddle", 11, lambda x: x + 1e-9),
    "one NaN": put("torch", 11, np.nan),
    "NaN in both": both(put("torch", 11, np.nan), put("paddle", 11, np.nan)),
    "infinity": put("paddle", 0, np.inf),
    "infinity in both": both(put("torch", 0, np.inf), put("paddle", 0, np.inf)),
    "NaN in the reference": put("reference", 0, np.nan),
    "two elements swapped": put("torch", [0, 1], lambda x: x[::-1].copy()),
    "images permuted": become("torch", lambda x: x[::-1]),
    "transposed": become("torch", lambda x: x.transpose(0, 2, 1)),
    "transposed into the same shape": become(
        "torch", lambda x: x.transpose(0, 2, 1).reshape(x.shape)
    ),
    "an image less": become("torch", lambda x: x[:1]),
    "a shape that would broadcast": become("torch", lambda x: x[:, :1]),
    "nothing in it": both(*(become(side, lambda x: x[:0]) for side in SIDES)),
    "another dtype": become("torch", lambda x: x.astype(np.float32)),
    "another dtype in both": both(*(become(s, lambda x: x.astype(np.float32)) for s in SIDES[:2])),
    "integers": become("paddle", lambda x: x.astype(np.int64)),
    "no torch": become("torch", lambda x: None),
    "no paddle": become("paddle", lambda x: None),
    "no reference": become("reference", lambda x: None),
    "a reference of another shape": become("reference", lambda x: x[:1]),
    "all zero": become("torch", np.zeros_like),
    "the other sign": become("torch", np.negative),
    "the same mean": become("torch", lambda x: np.full_like(x, x.mean())),
}


@pytest.mark.parametrize("change", MUTATIONS.values(), ids=MUTATIONS)
def test_every_mutation_turns_the_verdict(change: Callable[[Outputs], None]) -> None:
    outputs = {side: REFERENCE.copy() for side in SIDES}
    assert compare("x", *outputs.values(), "float64").passed
    change(outputs)
    found = compare("x", *outputs.values(), "float64")
    assert not found.passed
    assert found.problem
    assert not found.bit_equal


def test_a_difference_from_an_all_zero_output_fails() -> None:
    zero, tiny = np.zeros(4), np.full(4, 1e-300)
    assert compare("x", zero, zero, zero, "float64").passed
    assert not compare("x", tiny, zero, zero, "float64").passed


def test_chunks_cover_every_element() -> None:
    size = (1 << 20) + 3
    output = np.ones(size, dtype=np.float32)
    other = output.copy()
    other[-1] = 2
    found = compare("x", output, other, np.ones(size), "float32")
    assert found.max_abs == 1
    assert found.relative_l2 == pytest.approx(1 / np.sqrt(size))
    assert not found.passed


def test_json_has_null_where_nothing_was_measured() -> None:
    found = compare("x", None, REFERENCE, REFERENCE, "float64").as_json()
    assert json.loads(json.dumps(found, allow_nan=False))["max_abs"] is None
    assert found["problem"] == "no output from torch"
