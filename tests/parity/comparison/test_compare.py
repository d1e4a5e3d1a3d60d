"""The comparator on arrays: what passes, and that everything else fails."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.comparison.compare import Comparison, compare
from parity.comparison.metrics import EDGES, SAMPLE, histogram
from parity.comparison.precision import FACTOR, PRECISIONS

RANDOM = np.random.default_rng(3)
REFERENCE = RANDOM.standard_normal((2, 5, 7))
SIDES = ("torch", "paddle", "reference")
Outputs = dict[str, "np.ndarray | None"]


def in_precision(array: np.ndarray, precision: str) -> np.ndarray:
    return array.astype(precision)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_equal_outputs_pass_and_are_bit_equal(precision: str) -> None:
    output = in_precision(REFERENCE, precision)
    found = compare("x", output, output.copy(), REFERENCE, precision)
    assert found.passed
    assert found.bit_equal
    assert found.max_abs == found.relative_l2 == 0
    assert found.torch_error == found.paddle_error < 1e-7


@pytest.mark.parametrize("precision", PRECISIONS)
@given(factor=st.floats(1e-3, 1e3))
def test_the_tolerance_is_where_the_verdict_turns(precision: str, factor: float) -> None:
    row = PRECISIONS[precision]
    output = np.ones(100).astype(row.numpy)
    other = output.astype(np.float64)
    other[3] += factor * row.layer * np.sqrt(100)
    other = other.astype(row.numpy)
    moved = abs(float(other[3]) - 1) / np.sqrt(100)
    found = compare("x", output, other, np.ones(100), precision)
    assert found.relative_l2 == pytest.approx(moved, rel=1e-9, abs=1e-15)
    assert found.passed == (found.relative_l2 <= found.allowed <= row.layer)
    assert bool(found.problem) == (not found.passed)


def noisy(size: float, precision: str, seed: int) -> np.ndarray:
    """The reference with an error of a relative L2 of ``size``."""
    noise = np.random.default_rng(seed).standard_normal(REFERENCE.shape)
    noise *= size * np.linalg.norm(REFERENCE) / np.linalg.norm(noise)
    return (REFERENCE + noise).astype(PRECISIONS[precision].numpy)


def test_a_layer_may_differ_by_a_multiple_of_the_smaller_error() -> None:
    precise, coarse = noisy(1e-6, "float32", 1), noisy(1e-5, "float32", 2)
    alike = compare("x", precise, noisy(1e-6, "float32", 3), REFERENCE, "float32")
    assert alike.passed
    assert alike.allowed == pytest.approx(FACTOR * min(alike.torch_error, alike.paddle_error))
    assert alike.nearer == ""
    # The fault of one side widens nothing, although it is within the outer bound of 1e-4.
    unlike = compare("x", coarse, precise, REFERENCE, "float32")
    assert not unlike.passed
    assert unlike.relative_l2 < PRECISIONS["float32"].layer
    assert unlike.nearer == "paddle"
    assert compare("x", precise, coarse, REFERENCE, "float32").nearer == "torch"
    # Gradients have the outer bound alone: an element behind a ReLU may be all of an error.
    assert compare("x", coarse, precise, REFERENCE, "float32", "gradient").passed


def test_an_exact_output_leaves_the_other_one_epsilon() -> None:
    exact = REFERENCE.astype(np.float32)
    reference = exact.astype(np.float64)
    other = exact.copy()
    other[0, 0, 0] *= 1 + 2.0**-23
    found = compare("x", exact, other, reference, "float32")
    assert found.passed
    assert found.torch_error == 0
    assert found.allowed == FACTOR * 2.0**-23


@pytest.mark.parametrize("what", ["logits", "layer", "gradient", "step"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_bound_holds(precision: str, what: str) -> None:
    row = PRECISIONS[precision]
    ones = np.ones(64)
    for factor, passes in ((0.5, True), (2.0, False)):
        other = (ones * (1 + factor * getattr(row, what))).astype(row.numpy)
        both = (ones.astype(row.numpy), other)
        found = compare("x", *both, ones, precision, what)
        if what in ("gradient", "step") or precision == "float64":
            assert found.passed == passes, (factor, found.problem)
        elif not passes:
            assert not found.passed


def test_the_metrics_are_what_they_say() -> None:
    torch = np.array([1.0, 2.0, -4.0, 0.0])
    paddle = np.array([1.0, 2.0 + 2.0**-50, -4.0, 2.0**-52])
    found = compare("x", torch, paddle, paddle, "float64")
    least = np.sqrt((paddle**2).mean())  # about 2.29
    difference = np.abs(torch - paddle)
    assert found.max_abs == 2.0**-50
    assert found.max_rel == 1  # of the element that is 0 in torch
    assert found.max_ulps == pytest.approx(4 / least)
    assert found.relative_l2 == pytest.approx(
        np.linalg.norm(difference) / np.linalg.norm(paddle), rel=1e-12
    )
    assert found.cosine == pytest.approx(1)
    assert found.torch_ulps == pytest.approx(found.relative_l2 * 2**52)
    between = [2, 0, 0, 1, 0, 1]  # 0.44 is up to 1/2, 1.7 up to 2
    assert found.histogram["between"] == between + [0] * (len(EDGES) + 2 - len(between))
    assert found.histogram["torch"] == found.histogram["between"]
    assert found.histogram["paddle"][0] == 4
    assert found.quantiles["0.99"] == pytest.approx(np.quantile([0, 0, 1 / least, 4 / least], 0.99))


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_the_histogram_is_numpys(ulps: list[float]) -> None:
    array = np.array(ulps)
    found = histogram(array)
    upper = (-np.inf, 0.0, *EDGES, np.inf)
    expected = [
        int(((array > low) & (array <= high)).sum()) for low, high in itertools.pairwise(upper)
    ]
    assert found == expected


def test_large_outputs_are_sampled_for_their_distribution_alone() -> None:
    size = 4 * SAMPLE
    reference = np.ones(size)
    other = reference.copy()
    other[: size // 2] += 2.0**-51
    found = compare("x", other, reference, reference, "float64")
    assert found.max_ulps == pytest.approx(2)
    assert sum(found.histogram["between"]) == SAMPLE
    assert found.histogram["between"][0] == pytest.approx(SAMPLE / 2, rel=0.1)


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
    "sorted": become("torch", lambda x: np.sort(x, axis=None).reshape(x.shape)),
    "both of another shape than the reference": both(
        *(become(s, lambda x: x[:1]) for s in SIDES[:2])
    ),
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


def test_a_difference_of_all_that_is_allowed_passes() -> None:
    reference = np.array([1.0, 0.0])
    exact = reference.astype(np.float32)
    allowed = FACTOR * 2.0**-23  # beside an exact side; a power of two, so nothing rounds
    at = compare("x", np.array([1, allowed], np.float32), exact, reference, "float32")
    assert at.relative_l2 == at.allowed == allowed
    assert at.passed
    above = np.array([1, allowed * (1 + 2.0**-20)], np.float32)
    assert not compare("x", above, exact, reference, "float32").passed


@pytest.mark.parametrize(("torch", "paddle"), [((2, 5), (2, 4)), ((2, 4), (2, 5)), ((2,), (2, 1))])
def test_either_side_may_have_the_larger_shape(torch: tuple, paddle: tuple) -> None:
    found = compare("x", np.ones(torch), np.ones(paddle), np.ones(torch), "float64")
    assert found.problem == f"shapes differ: torch {list(torch)}, paddle {list(paddle)}"


def test_what_was_not_compared_has_the_shape_that_is_there_and_no_figures() -> None:
    for sides in ((None, REFERENCE), (REFERENCE, None)):
        found = compare("x", *sides, REFERENCE, "float64")
        assert (found.shape, found.step) == (REFERENCE.shape, 0)
        assert np.isnan(found.relative_l2)
        assert np.isnan(found.allowed)
    neither = compare("x", None, None, REFERENCE, "float64", "step", 3)
    assert (neither.shape, neither.step) == ((), 3)


def test_errors_in_epsilons() -> None:
    found = compare("x", noisy(1e-6, "float32", 1), noisy(2e-6, "float32", 2), REFERENCE, "float32")
    assert found.torch_ulps == pytest.approx(found.torch_error * 2**23, rel=1e-12)
    assert found.paddle_ulps == pytest.approx(found.paddle_error * 2**23, rel=1e-12)
    assert found.step == 0


@pytest.mark.parametrize(
    ("torch", "paddle", "nearer"),
    [
        (1.0, 1.05, ""),
        (1.05, 1.0, ""),
        (1.0, 1.1, ""),
        (1.1, 1.0, ""),
        (1.0, 1.2, "torch"),
        (1.2, 1.0, "paddle"),
        (0, 1e-9, "torch"),
    ],
)
def test_nearer_is_who_has_a_tenth_less_error(torch: float, paddle: float, nearer: str) -> None:
    found = Comparison("x", (1,), "float32", True, torch_error=torch, paddle_error=paddle)
    assert found.nearer == nearer
    assert Comparison("x", (1,), "float32", False).nearer == ""


@pytest.mark.parametrize("other", ["float16", "float64", "int32"])
def test_a_dtype_that_was_not_asked_is_said(other: str) -> None:
    right, wrong = REFERENCE.astype(np.float32), np.zeros(REFERENCE.shape, other)
    found = compare("x", wrong, right, REFERENCE, "float32")
    assert found.problem == f"dtype: torch gave {other}, float32 was asked for"
    found = compare("x", right, wrong, REFERENCE, "float32")
    assert found.problem == f"dtype: paddle gave {other}, float32 was asked for"


def test_the_rule_of_the_smaller_error_holds_in_tf32_too() -> None:
    precise, coarse = noisy(1e-4, "tf32", 1), noisy(2e-2, "tf32", 2)
    found = compare("x", coarse, precise, REFERENCE, "tf32")
    assert not found.passed
    assert found.relative_l2 < PRECISIONS["tf32"].layer


def test_steps_of_training_have_figures_and_no_distributions() -> None:
    output = REFERENCE.astype(np.float32)
    assert compare("x", output, output, REFERENCE, "float32", "step").histogram == {}
    assert compare("x", output, output, REFERENCE, "float32", "gradient").histogram
