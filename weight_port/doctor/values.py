"""Every number changed in the same way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from weight_port.doctor.case import Case, Tensor
from weight_port.storage.buffers import BFLOAT16, dtype_called

_HALF = 65504.0  # float16's largest number
_SMALL = 8  # elements; fewer are easily some multiple of others


def rounded(name: str) -> Callable[[Case, Tensor], bool]:
    """To another dtype, and kept in this or a wider one."""

    def explains(case: Case, tensor: Tensor) -> bool:
        with np.errstate(all="ignore"):
            narrow = tensor.reference.astype(dtype_called(name)).astype(np.float64)
        return np.array_equal(tensor.numbers, narrow)

    return explains


def overflow(case: Case, tensor: Tensor) -> bool:
    """Infinite where the number is too large for float16, and right elsewhere."""
    large = np.abs(tensor.sound) > _HALF
    if tensor.numbers.shape != tensor.sound.shape or not large.any():
        return False
    right = np.allclose(tensor.numbers[~large], tensor.sound[~large], 1e-3, 1e-7)
    return right and bool(np.isinf(tensor.numbers[large]).all())


def negated(case: Case, tensor: Tensor) -> bool:
    """All signs lost."""
    return bool(tensor.sound.any()) and tensor.near(-tensor.sound)


def magnitudes(case: Case, tensor: Tensor) -> bool:
    """Signs lost where they were negative."""
    return bool((tensor.sound < 0).any()) and tensor.near(np.abs(tensor.sound))


def zeros(case: Case, tensor: Tensor) -> bool:
    """Never written, or never loaded."""
    same = tensor.numbers.shape == tensor.sound.shape
    return same and not tensor.numbers.any() and bool(tensor.sound.any())


def not_numbers(case: Case, tensor: Tensor) -> bool:
    """NaN throughout."""
    return tensor.numbers.size > 0 and bool(np.isnan(tensor.numbers).all())


def scaled(case: Case, tensor: Tensor) -> bool:
    """Times one number."""
    if tensor.numbers.shape != tensor.sound.shape or not tensor.telling:
        return False
    square = float((tensor.sound**2).sum()) if tensor.sound.size >= _SMALL else 0.0
    if not square or not np.isfinite(tensor.numbers).all() or not tensor.numbers.any():
        return False
    factor = float((tensor.numbers * tensor.sound).sum()) / square
    return factor not in (0.0, 1.0) and tensor.near(tensor.sound * factor)


BF16, F16 = rounded(BFLOAT16), rounded("float16")
