"""Arrays over bytes and back, without a copy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

_MAX_DIMENSIONS = 32  # NumPy 1's own bound; the product of an endless shape would never end


def byte_count(shape: Sequence[int], dtype: np.dtype) -> int:
    """Bytes that an array takes; raises ValueError where ``shape`` is none."""
    if len(shape) > _MAX_DIMENSIONS:
        raise ValueError(f"a shape of {len(shape)} dimensions")
    if any(not isinstance(size, int) or size < 0 for size in shape):
        raise ValueError("a shape of other than whole numbers")
    return math.prod(shape) * dtype.itemsize


def view(raw: Any, dtype: np.dtype, shape: Sequence[int], fortran: bool = False) -> np.ndarray:
    """``raw`` bytes as an array of ``shape``; raises ValueError where the sizes disagree."""
    if byte_count(shape, dtype) != len(raw):
        raise ValueError(f"shape {list(shape)} of {dtype} in {len(raw)} bytes")
    return np.frombuffer(raw, dtype=dtype).reshape(shape, order="F" if fortran else "C")


def raw_bytes(array: np.ndarray) -> memoryview:
    """The array's bytes in C order; a copy only of an array that is not contiguous."""
    # Seen as uint8: dtypes from outside NumPy, as bfloat16, have no buffer format of their own.
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
