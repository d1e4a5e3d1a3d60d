"""NumPy arrays inside pickles: what NumPy writes, read without calling what the file names."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from weight_port.errors import UnsafeFileError, shown
from weight_port.pickles.reader import Global, LongText, Pending
from weight_port.storage.buffers import view
from weight_port.storage.scratch import Scratch

_CHUNK = 1 << 20  # bytes that are decoded at a time
# NumPy's type codes as they stand in pickles of weights; a dtype of Python objects is no data.
_CODES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"}


class PendingDtype(Pending):
    """``numpy.dtype(code, align, copy)``, then its state with the byte order."""

    __slots__ = ("dtype",)

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or code not in _CODES:
            raise ValueError(f"dtype {shown(code)} is not one of numbers")
        self.dtype = np.dtype(code)

    def set_state(self, state: Any) -> None:
        if state[1] == ">":
            raise ValueError("big-endian numbers; save them again on a little-endian machine")


class PendingArray(Pending):
    """``numpy._reconstruct(ndarray, (0,), b"b")``, then its state with shape, dtype and bytes."""

    __slots__ = ("array",)

    def __init__(self, *_: Any) -> None:
        self.array: np.ndarray | None = None

    def set_state(self, state: Any) -> None:
        _, shape, pending, fortran, raw = state
        if self.array is not None:  # over and over, it would take time and no bytes
            raise ValueError("an array's state, set twice")
        if not isinstance(pending, PendingDtype) or not isinstance(raw, (bytes, memoryview)):
            raise ValueError("array state is not numbers in bytes")
        self.array = view(raw, pending.dtype, shape, bool(fortran))


def _check_latin1(encoding: Any) -> None:
    if encoding not in ("latin1", "latin-1"):
        raise UnsafeFileError(f"the pickle asks for _codecs.encode to {shown(encoding)}; refused")


def encode_latin1(text: str | LongText, encoding: str = "latin1") -> bytes:
    """``_codecs.encode``: how pickle protocol 2 spells bytes."""
    _check_latin1(encoding)
    return b"".join(_encoded(text)) if isinstance(text, LongText) else text.encode("latin1")


def encode_into(scratch: Scratch) -> Callable[..., bytes | memoryview]:
    """The same, with the bytes of a long text in ``scratch``, where memory need not hold them."""

    def encode(text: str | LongText, encoding: str = "latin1") -> bytes | memoryview:
        if not isinstance(text, LongText):
            return encode_latin1(text, encoding)
        _check_latin1(encoding)
        return scratch.put(_encoded(text))

    return encode


def _encoded(text: LongText) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(text.data), _CHUNK):
        chunk = text.data[start : start + _CHUNK]
        yield decoder.decode(chunk, start + _CHUNK >= len(text.data)).encode("latin1")


def empty_bytes() -> bytes:
    """``bytes()``: how pickle protocol 2 spells those of an array without elements."""
    return b""


def plain_dict(*arguments: Any) -> dict[Any, Any]:
    """``collections.OrderedDict()``, which pickles fill afterwards, one item at a time."""
    if arguments:
        raise ValueError("an OrderedDict made from arguments")
    return {}


NUMPY_GLOBALS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): PendingArray,
    ("numpy._core.multiarray", "_reconstruct"): PendingArray,
    ("numpy", "ndarray"): Global("numpy.ndarray"),
    ("numpy", "dtype"): PendingDtype,
    ("_codecs", "encode"): encode_latin1,
    ("__builtin__", "bytes"): empty_bytes,
}
