"""The sum of bit patterns that tells tensors of equal values, however they are laid out."""

from __future__ import annotations

import numpy as np
import pytest

from parity.pair.sides.trace import bit_sum

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_it_is_of_the_values_in_any_layout(dtype: type) -> None:
    array = RANDOM.standard_normal((6, 5)).astype(dtype)
    parts = np.split(array, 3)
    assert bit_sum(array) == bit_sum(array.T) == bit_sum(array[::-1])
    assert bit_sum(array) == sum(map(bit_sum, parts)) % 2**64
    other = array.copy()
    other[2, 3] = np.nextafter(other[2, 3], dtype(9))
    assert bit_sum(other) != bit_sum(array)
    assert bit_sum(np.zeros(0, dtype)) == 0
