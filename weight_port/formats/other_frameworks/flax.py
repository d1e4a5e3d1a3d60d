"""``.msgpack``: a tree of arrays as ``flax.serialization.to_bytes`` writes it.

MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md) with Flax's extension types
(``flax/serialization.py``): 1 is an array, itself a message of shape, dtype's name and bytes; 3 a
NumPy scalar. Arrays of more than 1 GB are cut into chunks. The package msgpack would copy all of
the bytes; the part of it that Flax uses is small, and read here as views.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from weight_port.errors import DAMAGE, FormatError, shown
from weight_port.formats.contents import Contents, Tensors, check_count, check_total
from weight_port.formats.states import no_tensors
from weight_port.storage.bounds import memory_for
from weight_port.storage.buffers import BFLOAT16, dtype_called, view
from weight_port.storage.scratch import Scratch
from weight_port.storage.sources import File

_ARRAY, _COMPLEX, _SCALAR = 1, 2, 3  # flax.serialization._MsgpackExtType
_CHUNKED = "__msgpack_chunked_array__"
DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128", BFLOAT16),
)
_DEPTH = 64
_LONGEST_KEY = 1 << 12
# What values cost in memory, in bytes: the least of any, and an entry of a dict.
_VALUE, _ENTRY = 60, 120
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
# Code -> (what follows, bytes of its length).
_LENGTHS = {
    0xD9: ("text", 1), 0xDA: ("text", 2), 0xDB: ("text", 4),
    0xC4: ("bytes", 1), 0xC5: ("bytes", 2), 0xC6: ("bytes", 4),
    0xC7: ("ext", 1), 0xC8: ("ext", 2), 0xC9: ("ext", 4),
    0xDC: ("list", 2), 0xDD: ("list", 4), 0xDE: ("dict", 2), 0xDF: ("dict", 4),
}  # fmt: skip
_FIXED_EXT = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


class _Extension(NamedTuple):
    kind: int
    data: memoryview


class _Reader:
    """Reads one message; raises ValueError where it has other bytes than it says."""

    def __init__(self, data: memoryview, left: int) -> None:
        self.data, self.position, self.left = data, 0, left

    def take(self, count: int) -> memoryview:
        end = self.position + count
        if end > len(self.data):
            missing = end - len(self.data)
            raise ValueError(f"truncated: at least {missing} bytes are missing; get it again")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def value(self, depth: int = 0) -> Any:
        """The next value: texts, numbers, lists, dicts, views of bytes, extensions."""
        self.left -= _VALUE
        if depth > _DEPTH or self.left < 0:
            raise ValueError("nested too deep, or far more values than bytes")
        code = self.take(1)[0]
        if code <= 0x7F or code >= 0xE0:
            return code if code <= 0x7F else code - 256
        if code in _CONSTANTS:
            return _CONSTANTS[code]
        if code in _NUMBERS:
            layout = struct.Struct(_NUMBERS[code])
            return layout.unpack(self.take(layout.size))[0]
        if code in _FIXED_EXT:
            return self.extension(_FIXED_EXT[code])
        kind, length = self.head(code)
        if kind == "dict":
            return self.dict(length, depth)
        if kind == "list":
            return [self.value(depth + 1) for _ in range(length)]
        if kind == "ext":
            return self.extension(length)
        taken = self.take(length)
        return taken if kind == "bytes" else str(taken, "utf-8")

    def head(self, code: int) -> tuple[str, int]:
        """What follows a code, and how much of it."""
        if code <= 0x8F:
            return "dict", code & 15
        if code <= 0x9F:
            return "list", code & 15
        if code <= 0xBF:
            return "text", code & 31
        if code not in _LENGTHS:
            raise ValueError(f"code {code:#x} at byte {self.position - 1}")
        kind, size = _LENGTHS[code]
        return kind, int.from_bytes(self.take(size), "big")

    def extension(self, length: int) -> _Extension:
        self.left -= 200
        return _Extension(self.take(1)[0], self.take(length))

    def dict(self, length: int, depth: int) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        for _ in range(length):
            self.left -= _ENTRY
            key = self.value(depth + 1)
            if not isinstance(key, str) or len(key) > _LONGEST_KEY:
                raise ValueError("a key that is no short text")
            if key in entries:
                raise ValueError(f"{shown(key)} stands twice in one dict")
            entries[key] = self.value(depth + 1)
        return entries


def read(file: File) -> Contents:
    """Every array as ``outer/inner/name``. Raises FormatError."""
    data = file.load()
    try:
        reader = _Reader(data, memory_for(len(data)))
        tree = reader.value()
        if reader.position != len(data):
            raise ValueError(f"{len(data) - reader.position} bytes behind its end")
        if not isinstance(tree, dict):
            raise ValueError(f"a {type(tree).__name__} instead of arrays by name")
        tensors: Tensors = {}
        others: list[str] = []
        with Scratch(len(data)) as scratch:
            for name, value in _leaves(tree, ""):
                array = _array(value, scratch)
                if array is None:
                    others.append(f"{shown(name)} ({type(value).__name__.strip('_')})")
                    continue
                tensors[name] = array
                check_count(len(tensors), len(data), file.where)
    except DAMAGE as error:
        raise FormatError(f"{file.where}: damaged Flax file: {error!s:.200}") from None
    if not tensors:
        raise FormatError(f"{file.where}: MessagePack without arrays as Flax writes them")
    check_total(tensors, len(data), file.where)
    return Contents(tensors, no_tensors(others))


def _leaves(tree: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        name = prefix + key
        if len(name) > _LONGEST_KEY:
            raise ValueError(f"a name of {len(name)} characters")
        if isinstance(value, dict) and _CHUNKED not in value:
            yield from _leaves(value, f"{name}/")
        else:
            yield name, value


def _array(value: Any, scratch: Scratch) -> np.ndarray | None:
    """The array behind a value, None where it is none."""
    if isinstance(value, dict):
        return _joined(value, scratch)
    if not isinstance(value, _Extension) or value.kind not in (_ARRAY, _SCALAR):
        return None
    shape, name, raw = _Reader(value.data, 100 * _VALUE).value()
    if isinstance(name, memoryview):  # of older writers, which have one type for text and bytes
        name = str(name, "ascii")
    if name not in DTYPES or not isinstance(shape, list):
        raise ValueError(f"an array of dtype {shown(name)}, which is not read")
    return view(raw, dtype_called(name), shape)


def _joined(value: dict[str, Any], scratch: Scratch) -> np.ndarray:
    """An array out of chunks of its flat form, in a temporary file."""
    count, rank = len(value["chunks"]), len(value["shape"])
    chunks = [_array(value["chunks"][str(number)], scratch) for number in range(count)]
    arrays = [chunk for chunk in chunks if chunk is not None]
    if len(arrays) != count or len({array.dtype for array in arrays}) != 1:
        raise ValueError("chunks of no array, or of several dtypes")
    raw = scratch.put(array.reshape(-1).view(np.uint8).data for array in arrays)
    return view(raw, arrays[0].dtype, [value["shape"][str(axis)] for axis in range(rank)])
