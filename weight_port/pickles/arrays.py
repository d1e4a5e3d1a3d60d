"""NumPy arrays inside pickles: what NumPy writes, read without calling what the file names."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from weight_port.errors import UnsafeFileError, shown
from weight_port.pickles.machine import old_bytes
from weight_port.pickles.values import Global, LongText, Pending, Placeholder
from weight_port.storage.buffers import view
from weight_port.storage.copies import copied
from weight_port.storage.scratch import Scratch

_CHUNK = 1 << 20  # bytes that are decoded at a time
# NumPy's type codes as they stand in pickles of weights, and those of what may stand beside them:
# Python's objects, texts, bytes, records, dates.
_CODES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"}
_NO_NUMBERS = re.compile(r"[OSUVMma]\d{0,9}")


class PendingDtype(Pending):
    """``numpy.dtype(code, align, copy)``, then its state with the byte order."""

    __slots__ = ("dtype",)

    def __init__(self, code: Any, *_: Any) -> None:
        number = isinstance(code, str) and code in _CODES
        if not number and not (isinstance(code, str) and _NO_NUMBERS.fullmatch(code)):
            raise ValueError(f"dtype {shown(code)} is not one of numbers")
        self.dtype = np.dtype(code) if number else None

    def set_state(self, state: Any) -> None:
        if self.dtype is not None and state[1] == ">":
            raise ValueError("big-endian numbers; save them again on a little-endian machine")


class PendingArray(Pending):
    """``numpy._reconstruct(ndarray, (0,), b"b")``, then its state with shape, dtype and bytes.

    ``array`` stays None where its elements are no numbers; of Python's objects it keeps the list.
    """

    __slots__ = ("array", "objects")

    def __init__(self, *_: Any) -> None:
        self.array: np.ndarray | None = None
        self.objects: list[Any] | None = None

    def set_state(self, state: Any) -> None:
        _, shape, pending, fortran, raw = state
        if isinstance(raw, str):  # Python 2 has one type for text and bytes
            raw = old_bytes(raw)
        if self.array is not None:  # over and over, it would take time and no bytes
            raise ValueError("an array's state, set twice")
        if not isinstance(pending, PendingDtype):
            raise ValueError("array state without a dtype")
        if pending.dtype is None:
            self.objects = raw if isinstance(raw, list) else []
            return
        if not isinstance(raw, (bytes, memoryview)):
            raise ValueError("array state is not numbers in bytes")
        self.array = view(raw, pending.dtype, shape, bool(fortran))


def array_of_buffer(
    buffer: Any, pending: Any, shape: Any, order: Any = "C", axes: Any = None
) -> PendingArray:
    """``numpy._core.numeric._frombuffer``: how protocol 5 spells an array.

    ``axes`` come with NumPy 2.3, of arrays that are contiguous in another order of their axes.
    """
    number = isinstance(pending, PendingDtype) and pending.dtype is not None
    if not isinstance(buffer, (bytes, memoryview)) or not number:
        raise ValueError("a buffer of other than numbers in bytes")
    if order not in ("C", "F", "K") or (order == "K") != isinstance(axes, tuple):
        raise ValueError(f"an array in order {shown(order)}")
    made = PendingArray()
    made.array = view(buffer, pending.dtype, shape, order == "F")
    if axes is not None:
        made.array = made.array.transpose(axes)
    return made


def scalar(pending: Any, raw: Any = None) -> Any:
    """``numpy.core.multiarray.scalar``: one number, as an array without dimensions."""
    if isinstance(raw, str):
        raw = old_bytes(raw)
    number = isinstance(pending, PendingDtype) and pending.dtype is not None
    if not number or not isinstance(raw, (bytes, memoryview)):
        return Placeholder("numpy.core.multiarray.scalar")  # a date or a text: no weight
    return view(raw, pending.dtype, ()).item()


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
        yield decoder.decode(copied(chunk), start + _CHUNK >= len(text.data)).encode("latin1")


def empty_bytes() -> bytes:
    """``bytes()``: how pickle protocol 2 spells those of an array without elements."""
    return b""


def plain_dict(*arguments: Any) -> dict[Any, Any]:
    """``collections.OrderedDict()``, which pickles fill afterwards, one item at a time.

    Python 2 hands over its items instead, as a list of pairs.
    """
    if not arguments:
        return {}
    (pairs,) = arguments
    if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
        raise ValueError("an OrderedDict made from other than pairs of a name and a value")
    return {pair[0]: pair[1] for pair in pairs}


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str)


def default_dict(*_: Any) -> dict[Any, Any]:
    """``collections.defaultdict(factory)``, whose factory nobody calls here."""
    return {}


NUMPY_GLOBALS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): PendingArray,
    ("numpy._core.multiarray", "_reconstruct"): PendingArray,
    ("numpy.core.numeric", "_frombuffer"): array_of_buffer,
    ("numpy._core.numeric", "_frombuffer"): array_of_buffer,
    ("numpy.core.multiarray", "scalar"): scalar,
    ("numpy._core.multiarray", "scalar"): scalar,
    ("numpy", "ndarray"): Global("numpy.ndarray"),
    ("numpy", "dtype"): PendingDtype,
    ("_codecs", "encode"): encode_latin1,
    ("collections", "OrderedDict"): plain_dict,
    ("collections", "defaultdict"): default_dict,
    ("builtins", "dict"): plain_dict,
    ("__builtin__", "dict"): plain_dict,
    ("__builtin__", "bytes"): empty_bytes,
}
