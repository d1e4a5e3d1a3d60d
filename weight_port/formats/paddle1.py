"""Paddle's tensor record, and the directory of variable files that Paddle 1.x wrote.

One record (``paddle/phi/core/framework/dense_tensor_serialize.cc``,
``dense_tensor_tostream.cc``), little-endian::

    u32 version 0; u64 lod levels, each u64 length + bytes
    u32 version 0; i32 n, n bytes of TensorDesc (protobuf: 08 dtype, then 10 dim per dimension)
    data in C order, without a length
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from weight_port.errors import DAMAGE, DestinationError, FormatError
from weight_port.formats.contents import Contents
from weight_port.storage.buffers import (
    BFLOAT16,
    MAX_DIMENSIONS,
    byte_count,
    dtype_called,
    dtype_name,
    raw_bytes,
    view,
)
from weight_port.storage.copies import Nearby
from weight_port.storage.disk import Whole
from weight_port.storage.protobuf import encode_varint, varint
from weight_port.storage.sources import Folder

# paddle/fluid/framework/framework.proto, VarType.Type
DTYPES = {
    0: "bool",
    1: "int16",
    2: "int32",
    3: "int64",
    4: "float16",
    5: "float32",
    6: "float64",
    20: "uint8",
    21: "int8",
    22: BFLOAT16,
    23: "complex64",
    24: "complex128",
}
_MOST_LEVELS = 32  # of sequences in one another, "level of detail": weights have none
_CODES = {dtype: code for code, dtype in DTYPES.items()}


class _Cursor(Nearby):
    """Reads a record's fields; every length is checked against the bytes that are there."""

    def __init__(self, data: memoryview, where: str, position: int) -> None:
        super().__init__(data, position)
        self.where = where

    def take(self, count: int, what: str) -> memoryview:
        end = self.position + count
        if count < 0 or end > len(self.data):
            raise FormatError(
                f"{self.where}: truncated or no Paddle variable file: {what} wants {count} "
                f"bytes at {self.position}, {len(self.data) - self.position} are there; get it "
                "again"
            )
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def copy(self, count: int, what: str) -> memoryview:
        """The next ``count`` bytes, to be looked at."""
        start = self.position
        self.take(count, what)  # which says so where they are fewer
        self.position, end = start, self.position
        near = self.near(count)
        self.position = end
        return near

    def number(self, layout: str, what: str) -> int:
        value: int = struct.unpack(layout, self.copy(struct.calcsize(layout), what))[0]
        return value

    def version(self, what: str) -> None:
        if found := self.number("<I", what):
            raise FormatError(
                f"{self.where}: {what} {found} instead of 0: not a Paddle variable file"
            )


def _parse_desc(desc: memoryview) -> tuple[int, list[int]]:
    """(dtype code, dims) of a TensorDesc; raises ValueError for any other message."""
    code, dims, position = -1, [], 0
    while position < len(desc):
        tag = desc[position]
        value, position = varint(desc, position + 1)
        if tag == 0x08:
            code = value
        elif tag == 0x10:
            dims.append(value)
        else:
            raise ValueError(f"field tag {tag}")
        if len(dims) > MAX_DIMENSIONS:
            raise ValueError("an endless shape")
    return code, dims


def read_record(data: memoryview, where: str, position: int = 0) -> tuple[np.ndarray, int]:
    """The array (a view) of the record at ``position`` and where the next one starts.

    Raises FormatError where the bytes are no record.
    """
    cursor = _Cursor(data, where, position)
    cursor.version("record version")
    levels = cursor.number("<Q", "the count of LoD levels")
    if levels > _MOST_LEVELS:
        raise FormatError(f"{where}: {levels} LoD levels: truncated or no Paddle variable file")
    for _ in range(levels):
        cursor.take(cursor.number("<Q", "a LoD level's length"), "a LoD level")
    cursor.version("tensor version")
    desc = cursor.copy(cursor.number("<i", "the description's length"), "the description")
    try:
        code, dims = _parse_desc(desc)
    except ValueError as error:
        raise FormatError(f"{where}: damaged tensor description: {error}") from None
    if code not in DTYPES:
        raise FormatError(f"{where}: dtype code {code} is none of {sorted(DTYPES)}")
    dtype = dtype_called(DTYPES[code])
    try:
        raw = cursor.take(byte_count(dims, dtype), f"the data of shape {dims}")
        return view(raw, dtype, dims), cursor.position
    except DAMAGE as error:
        raise FormatError(f"{where}: damaged tensor description: {error}") from None


def write_record(stream: BinaryIO, array: np.ndarray, name: str) -> None:
    """Write one record; raises DestinationError for a dtype that Paddle has no code for."""
    if dtype_name(array.dtype) not in _CODES:
        raise DestinationError(f"{name}: Paddle has no code for dtype {array.dtype}")
    desc = b"\x08" + encode_varint(_CODES[dtype_name(array.dtype)])
    desc += b"".join(b"\x10" + encode_varint(size) for size in array.shape)
    stream.write(struct.pack("<IQIi", 0, 0, 0, len(desc)) + desc)
    stream.write(raw_bytes(array))


def read(folder: Folder) -> Contents:
    """Every variable file of a 1.x directory, by file name. Raises FormatError."""
    if folder.others:
        raise FormatError(
            f"{folder.where}/{folder.others[0]}: a directory of Paddle variable files holds plain "
            "files only"
        )
    tensors = {}
    for name, file in folder.files.items():
        array, end = read_record(data := file.load(), file.where)
        if end != len(data):
            raise FormatError(
                f"{file.where}: {len(data) - end} bytes after the tensor: several variables in one "
                "file (save_params with a filename)? Name that file itself"
            )
        tensors[name] = array
    if not tensors:
        raise FormatError(f"{folder.where}: an empty folder, no variable files")
    return Contents(tensors)


def write(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """One file per variable into the existing folder ``path``. Raises DestinationError."""
    for name, array in tensors.items():
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise DestinationError(f"{name!r} can't be the name of a variable file")
        with open(path / name, "wb", buffering=0) as stream:
            write_record(cast(BinaryIO, Whole(stream)), array, name)
