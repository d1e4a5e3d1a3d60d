"""NumPy arrays inside pickles: what NumPy writes, read without calling what the file names."""

from __future__ import annotations

from typing import Any

import numpy as np

from weight_port.buffers import view
from weight_port.errors import UnsafeFileError
from weight_port.unpickle import Global, Pending

# NumPy's type codes as they stand in pickles of weights; a dtype of Python objects is no data.
_CODES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"}


class PendingDtype(Pending):
    """``numpy.dtype(code, align, copy)``, then its state with the byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or code not in _CODES:
            raise ValueError(f"dtype {code!r:.60} is not one of numbers")
        self.dtype = np.dtype(code)

    def set_state(self, state: Any) -> None:
        if state[1] == ">":
            raise ValueError("big-endian numbers; save them again on a little-endian machine")


class PendingArray(Pending):
    """``numpy._reconstruct(ndarray, (0,), b"b")``, then its state with shape, dtype and bytes."""

    array: np.ndarray | None = None

    def __init__(self, *_: Any) -> None:
        pass

    def set_state(self, state: Any) -> None:
        _, shape, pending, fortran, raw = state
        if not isinstance(pending, PendingDtype) or not isinstance(raw, (bytes, memoryview)):
            raise ValueError("array state is not numbers in bytes")
        self.array = view(raw, pending.dtype, shape, bool(fortran))


def encode_latin1(text: str, encoding: str = "latin1") -> bytes:
    """``_codecs.encode``: how pickle protocol 2 spells bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise UnsafeFileError(f"the pickle asks for _codecs.encode to {encoding!r:.60}; refused")
    return text.encode("latin1")


def empty_bytes() -> bytes:
    """``bytes()``: how pickle protocol 2 spells those of an array without elements."""
    return b""


NUMPY_GLOBALS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): PendingArray,
    ("numpy._core.multiarray", "_reconstruct"): PendingArray,
    ("numpy", "ndarray"): Global("numpy.ndarray"),
    ("numpy", "dtype"): PendingDtype,
    ("_codecs", "encode"): encode_latin1,
    ("__builtin__", "bytes"): empty_bytes,
}
