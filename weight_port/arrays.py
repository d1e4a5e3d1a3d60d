"""NumPy arrays inside pickles: what NumPy writes, read without calling what the file names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from weight_port.errors import FormatError
from weight_port.unpickle import Global, Pending

# NumPy's type codes as they stand in pickles of weights; a dtype of Python objects is no data.
_CODES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"}


class PendingDtype(Pending):
    """``numpy.dtype(code, align, copy)``, then its state with the byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        if code not in _CODES:
            raise ValueError(f"dtype {code!r} is not one of numbers")
        self.dtype = np.dtype(code)

    def set_state(self, state: Any) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class PendingArray(Pending):
    """``numpy._reconstruct(ndarray, (0,), b"b")``, then its state with shape, dtype and bytes."""

    array: np.ndarray | None = None

    def __init__(self, *_: Any) -> None:
        pass

    def set_state(self, state: Any) -> None:
        _, shape, pending, fortran, raw = state
        if not isinstance(pending, PendingDtype) or isinstance(raw, (list, str)):
            raise ValueError("array state is not numbers in bytes")
        self.array = view(raw, pending.dtype, shape, order="F" if fortran else "C")


def view(raw: Any, dtype: np.dtype, shape: tuple[int, ...], order: str = "C") -> np.ndarray:
    """``raw`` bytes as an array, without a copy; raises ValueError where the sizes disagree."""
    if any(not isinstance(size, int) or size < 0 for size in shape):
        raise ValueError(f"shape {shape!r}")
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise ValueError(f"shape {list(shape)} of {dtype} needs other than {len(raw)} bytes")
    flat = np.frombuffer(raw, dtype=dtype)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def encode_latin1(text: str, encoding: str = "latin1") -> bytes:
    """``_codecs.encode``: how pickle protocol 2 spells bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise FormatError(f"_codecs.encode with {encoding!r}, only latin1 spells bytes")
    return text.encode("latin1")


NUMPY_GLOBALS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): PendingArray,
    ("numpy._core.multiarray", "_reconstruct"): PendingArray,
    ("numpy", "ndarray"): Global("numpy.ndarray"),
    ("numpy", "dtype"): PendingDtype,
    ("_codecs", "encode"): encode_latin1,
}
