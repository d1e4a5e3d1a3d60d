"""Arrays over bytes and back, without a copy."""

from __future__ import annotations

import contextlib
import math
import mmap
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from weight_port.storage.copies import copied, map_of

# ml_dtypes', which only the files that have it need: it takes a tenth of NumPy's time to load.
BFLOAT16 = "bfloat16"
MAX_DIMENSIONS = 32  # NumPy 1's own bound; the product of an endless shape would never end


def dtype_called(name: str) -> np.dtype:
    """NumPy's dtype of that name, or ml_dtypes' bfloat16."""
    if name == BFLOAT16:
        import ml_dtypes

        bfloat16: np.dtype = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return np.dtype(name)


def dtype_name(dtype: np.dtype) -> str:
    """The name that ``dtype_called`` knows it by; "" for bytes in the other order."""
    return dtype.name if dtype.isnative else ""


def byte_count(shape: Sequence[int], dtype: np.dtype) -> int:
    """Bytes that an array takes; raises ValueError where ``shape`` is none."""
    if len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"a shape of {len(shape)} dimensions")
    if any(not isinstance(size, int) or size < 0 for size in shape):
        raise ValueError("a shape of other than whole numbers")
    return math.prod(shape) * dtype.itemsize


def view(raw: Any, dtype: np.dtype, shape: Sequence[int], fortran: bool = False) -> np.ndarray:
    """``raw`` bytes as an array of ``shape``; raises ValueError where the sizes disagree."""
    if byte_count(shape, dtype) != len(raw):
        raise ValueError(f"shape {list(shape)} of {dtype} in {len(raw)} bytes")
    return np.frombuffer(raw, dtype=dtype).reshape(shape, order="F" if fortran else "C")


_POPULATE_READ = 22  # Linux 5.14, madvise(2); Python's mmap has no name for it yet
_WORTH_POPULATING = 1 << 16  # what the kernel maps at a fault anyway
_PIECE = 1 << 22  # bytes of an array that are turned at a time


def _populate(array: np.ndarray) -> None:
    """Have the pages of a mapped array mapped in one go, before they are written to a file.

    Each fault in the middle of a write maps sixteen pages, and they cost as much as the copy does.
    """
    mapped = map_of(array)
    if sys.platform != "linux" or mapped is None:
        return
    start = _address(array) - _address(np.frombuffer(mapped, np.uint8, 1))
    aligned = start - start % mmap.PAGESIZE
    with contextlib.suppress(OSError):  # of an older kernel; the write itself reports the rest
        mapped.madvise(_POPULATE_READ, aligned, start + array.nbytes - aligned)


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def raw_bytes(array: np.ndarray) -> memoryview:
    """The array's bytes in C order, to be written; a copy only where it is not contiguous.

    Raises FormatError where a copy is made of a file that has become shorter.
    """
    if not array.flags.c_contiguous:
        return raw_bytes(_contiguous(array))
    if array.nbytes >= _WORTH_POPULATING:
        _populate(array)
    return _bytes(array)


def _bytes(array: np.ndarray) -> memoryview:
    # Seen as uint8: dtypes from outside NumPy, as bfloat16, have no buffer format of their own.
    data: memoryview = array.reshape(-1).view(np.uint8).data
    return data


def own(array: np.ndarray) -> np.ndarray:
    """The same numbers in memory that no change of a file reaches; itself where it is in such.

    Raises FormatError where the file has become shorter.
    """
    if map_of(array) is None:
        return array
    if not array.flags.c_contiguous:
        return _contiguous(array)
    return np.frombuffer(copied(_bytes(array)), array.dtype).reshape(array.shape)


def _contiguous(array: np.ndarray) -> np.ndarray:
    """A copy in C order, made of pieces as they lie in memory."""
    axes = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    source = array.transpose(axes)
    if map_of(array) is None or not source.flags.c_contiguous:
        return np.ascontiguousarray(array)
    made = np.empty(array.shape, array.dtype)
    target, rows = made.transpose(axes), max(1, _PIECE * len(source) // max(1, array.nbytes))
    for start in range(0, len(source), rows):
        target[start : start + rows] = own(source[start : start + rows])
    return made
