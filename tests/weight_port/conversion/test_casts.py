"""No cast loses a number: the widest dtype is taken, and what would be infinite is refused."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import weight_port
from weight_port.conversion import casts

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
F2, F4, F8 = map(np.dtype, ("f2", "f4", "f8"))


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        ((F2,), F2),
        ((BFLOAT16, BFLOAT16), BFLOAT16),
        ((F2, F4), F4),
        ((F4, F2), F4),
        ((BFLOAT16, F4), F4),
        ((F2, BFLOAT16), F4),
        ((BFLOAT16, F2, F8), F8),
        ((F4, F8, F4), F8),
        ((np.dtype(">f4"),), F4),
        ((np.dtype(np.longdouble), F4), F8),
    ],
)
def test_the_widest_dtype_holds_the_numbers_of_all(dtypes, expected) -> None:
    assert casts.widest(dtypes) == expected
    assert casts.widest(reversed(dtypes)) == expected


@pytest.mark.parametrize(
    ("value", "before", "after"),
    [
        (1e5, F4, F2),
        (-1e5, F4, F2),
        (65520.0, F4, F2),  # rounds past 65504
        (1e39, F8, F4),
        (3.4e38, F8, F2),
        (3.4e38, F4, BFLOAT16),
    ],
)
def test_a_number_that_would_become_infinite_is_refused(value, before, after) -> None:
    array = np.array([1, value, 2], before)
    with pytest.raises(weight_port.MismatchError, match=r"'w': 1 of its numbers are too large"):
        casts.cast(array, after, "w")


@pytest.mark.parametrize("value", [65504.0, 1e-30, np.inf, -np.inf, np.nan, 0.0])
def test_numbers_that_fit_or_were_not_finite_are_cast(value) -> None:
    array = np.array([value], np.float32)
    assert np.array_equal(casts.cast(array, F2, "w"), array.astype("f2"), equal_nan=True)


def test_what_has_the_dtype_is_not_copied() -> None:
    array = np.ones(3, np.float32)
    assert casts.cast(array, F4, "w") is array


def test_tensors_of_several_dtypes_become_one_and_counters_stay() -> None:
    mixed = {"w": np.ones(2, "f2"), "v": np.array([1e5], "f4"), "n": np.array(7)}
    one = casts.unified(mixed)
    assert [str(array.dtype) for array in one.values()] == ["float32", "float32", "int64"]
    assert one["v"][0] == np.float32(1e5)


@pytest.mark.parametrize(
    "given",
    [
        np.array(2048, "f2"),
        np.array(7, "i4"),
        np.array([9], "f8"),
        np.array(3, BFLOAT16),
        np.array(0, "u1"),
    ],
)
def test_a_counter_is_int64_whatever_the_file_holds(given) -> None:
    counted = casts.counter(given, "n")
    assert (counted.dtype, counted.shape) == (np.dtype("i8"), given.shape)
    assert int(counted.flat[0]) == int(given.flat[0])


@pytest.mark.parametrize("given", [0.5, np.nan, np.inf, 1e30, 1j])
def test_a_counter_that_is_no_whole_number_is_refused(given) -> None:
    with pytest.raises(weight_port.MismatchError, match="must be a whole number"):
        casts.counter(np.array(given), "n")


@pytest.mark.parametrize("dtype", ["f2", "f4", "i4"])
def test_convert_writes_counters_in_int64(fake, dtype: str) -> None:
    tensors = fake("torchvision", "resnet18")
    counters = [key for key in tensors if key.endswith("num_batches_tracked")]
    tensors |= {key: np.array(100, dtype) for key in counters}
    for to in ("torchvision", "pytorch_impl"):
        converted = weight_port.convert(tensors, to)
        made = [array for key, array in converted.items() if key.endswith("num_batches_tracked")]
        assert len(made) == len(counters)
        assert all(array.dtype == np.int64 and int(array) == 100 for array in made)


def test_convert_keeps_each_dtype_of_a_file_in_mixed_precision(fake) -> None:
    tensors = fake("torchvision", "resnet18")
    mixed = {key: a.astype("f2") if a.ndim == 4 else a for key, a in tensors.items()}
    converted = weight_port.convert(mixed, "paddle.vision")
    assert {a.ndim: str(a.dtype) for a in converted.values()} == {
        4: "float16",
        1: "float32",
        2: "float32",
    }
