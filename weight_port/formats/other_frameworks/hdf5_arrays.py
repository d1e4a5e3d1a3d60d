"""The arrays of an HDF5 file: contiguous and compact ones as views, chunks put together.

Of filters deflate, shuffle and fletcher32 are undone, those that HDF5 has without plug-ins but
szip. What chunks make is bounded by the size of the file, and lies in a temporary file where it is
large.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from weight_port.errors import FormatError
from weight_port.formats.other_frameworks.hdf5 import (
    DATASPACE,
    DATATYPE,
    EXTERNAL,
    FILTERS,
    LAYOUT,
    REPACK,
    Cursor,
    Hdf5,
    Item,
    shape_of,
)
from weight_port.storage.bounds import memory_for
from weight_port.storage.buffers import BFLOAT16, byte_count, dtype_called, view

_COMPACT, _CONTIGUOUS, _CHUNKED, _VIRTUAL = range(4)
_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3
_INTEGER, _FLOAT, _ENUM = 0, 1, 8  # classes of datatypes
_ENDLESS = 0xFFFFFFFFFFFFFFFF  # the address of what was never written
# (bytes, bits of the exponent, bits of the mantissa) of a floating-point type
_FLOATS = {(2, 5, 10): "float16", (4, 8, 23): "float32", (8, 11, 52): "float64"}
_FLOATS[2, 8, 7] = BFLOAT16
_LARGE = 1 << 20  # bytes of an array that memory need not hold


class Arrays:
    """Reads the arrays of one file, which together may make what its size justifies."""

    def __init__(self, file: Hdf5) -> None:
        self.file = file
        self.left = memory_for(len(file.data))  # bytes that chunks may make

    def read(self, item: Item) -> np.ndarray | None:
        """The array, None where it is none of numbers; raises FormatError and ValueError."""
        dtype = _dtype(item.messages[DATATYPE])
        if dtype is None:
            return None
        if EXTERNAL in item.messages:
            raise FormatError(f"{self.file.where}: an array's data stand in another file: not read")
        shape = shape_of(item.messages[DATASPACE])
        count = byte_count(shape, dtype)
        cursor = Cursor(item.messages[LAYOUT])
        version, kind = cursor.number(1), cursor.number(1)
        if kind == _VIRTUAL:
            raise FormatError(
                f"{self.file.where}: a virtual dataset, whose data stand in other files: not read"
            )
        if version not in (3, 4) or (version == 4 and kind == _CHUNKED):
            raise FormatError(
                f"{self.file.where}: an array in layout {version} of HDF5, which is not read: "
                f"{REPACK}"
            )
        if kind == _CHUNKED:
            return self._chunked(item, cursor, dtype, shape)
        if kind == _COMPACT:
            return view(cursor.take(cursor.number(2)), dtype, shape)
        address = cursor.number(8)
        if address == _ENDLESS and count:
            raise ValueError("an array whose data were never written")
        return view(self.file.at(address).take(count) if count else b"", dtype, shape)

    def _chunked(
        self, item: Item, cursor: Cursor, dtype: np.dtype, shape: tuple[int, ...]
    ) -> np.ndarray:
        rank = cursor.number(1) - 1
        tree = cursor.number(8)
        chunk = tuple(cursor.number(4) for _ in range(rank))
        if rank != len(shape) or 0 in chunk:
            raise ValueError(f"chunks of shape {list(chunk)} in {list(shape)}")
        self._take(byte_count(shape, dtype))
        made = _zeros(shape, dtype)
        filters = list(_filters(item.messages[FILTERS])) if FILTERS in item.messages else []
        if unknown := [name for name in filters if name not in (1, 2, 3)]:
            raise FormatError(
                f"{self.file.where}: an array behind HDF5's filter {unknown[0]}, which is not "
                "read; copy it with `h5repack -f NONE`"
            )
        size = byte_count(chunk, dtype)
        for leaf in self.file.leaves(tree, 1, 8 + 8 * (rank + 1)) if tree != _ENDLESS else ():
            self._take(size)
            key = Cursor(leaf.key)
            stored, mask = key.number(4), key.number(4)
            start = [key.number(8) for _ in range(rank)]
            used = [name for bit, name in enumerate(filters) if not mask >> bit & 1]
            raw = _unfiltered(self.file.at(leaf.address).take(stored), used, size, dtype.itemsize)
            _put(made, view(raw, dtype, chunk), start)
        made.flags.writeable = False
        return made

    def _take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise ValueError("its chunks would make far more than the file has bytes")


def _put(whole: np.ndarray, part: np.ndarray, start: list[int]) -> None:
    """A chunk to its place, cut where it reaches over the array's edge."""
    if any(at >= size for at, size in zip(start, whole.shape, strict=True)):
        raise ValueError(f"a chunk at {start} of {list(whole.shape)}")
    place = tuple(slice(at, at + size) for at, size in zip(start, part.shape, strict=True))
    inside = tuple(slice(0, size) for size in whole[place].shape)
    whole[place] = part[inside]


def _zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Zeros, in a temporary file where they are many."""
    if byte_count(shape, dtype) < _LARGE:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(prefix="weight-port-") as file:
        file.truncate(byte_count(shape, dtype))  # the map lives as long as the array does
        mapped: np.ndarray = np.memmap(file, np.uint8, "r+", shape=(byte_count(shape, dtype),))
    return np.ndarray(shape, dtype, mapped)


def _unfiltered(raw: memoryview, filters: list[int], size: int, itemsize: int) -> Any:
    """A chunk's bytes, of which there are ``size``; raises ValueError."""
    data: Any = raw
    for name in reversed(filters):
        if name == _FLETCHER32:
            data = data[:-4]
        elif name == _DEFLATE:
            try:
                data = zlib.decompressobj().decompress(data, size + 8)
            except zlib.error as error:
                raise ValueError(f"damaged chunk: {error}") from None
        elif len(data) % itemsize == 0:  # shuffle: all first bytes, then all second ones, …
            bytes_of = np.frombuffer(data, np.uint8).reshape(itemsize, -1)
            data = np.ascontiguousarray(bytes_of.T).reshape(-1).data
    if len(data) != size:
        raise ValueError(f"a chunk of {len(data)} bytes instead of {size}: damaged")
    return data


def _filters(message: memoryview) -> Iterator[int]:
    """The numbers of a pipeline's filters, in the order in which they were applied."""
    cursor = Cursor(message)
    version, count = cursor.number(1), cursor.number(1)
    cursor.take(6 if version == 1 else 0)
    for _ in range(count):
        number = cursor.number(2)
        named = version == 1 or number >= 256
        length, _, values = cursor.number(2) if named else 0, cursor.number(2), cursor.number(2)
        padded = -(-length // 8) * 8 if version == 1 else length
        cursor.take(padded + 4 * values + (4 if version == 1 and values % 2 else 0))
        yield number


def _dtype(message: memoryview) -> np.dtype | None:
    """NumPy's dtype of a datatype message; None for texts, references and structures."""
    cursor = Cursor(message)
    kind, flags, _, size = cursor.number(1) & 15, cursor.number(1), cursor.take(2), cursor.number(4)
    if kind == _ENUM:  # h5py's bool: an enumeration of int8
        base = Cursor(message, 8).take(len(message) - 8)
        inner = _dtype(base)
        return np.dtype("bool") if inner == np.dtype("int8") and flags == 2 else inner
    if kind not in (_INTEGER, _FLOAT):
        return None
    if flags & 1 and size > 1:
        raise ValueError("big-endian numbers; save them again on a little-endian machine")
    if kind == _INTEGER:
        if size not in (1, 2, 4, 8):
            raise ValueError(f"integers of {size} bytes")
        return np.dtype(f"{'i' if flags & 8 else 'u'}{size}")
    cursor.take(5)
    exponent, _, mantissa = cursor.number(1), cursor.take(1), cursor.number(1)
    if (size, exponent, mantissa) not in _FLOATS:
        raise ValueError(f"floating-point numbers of {size} bytes that NumPy has not")
    return dtype_called(_FLOATS[size, exponent, mantissa])
