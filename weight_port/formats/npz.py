"""``.npz``: a zip of ``.npy`` files, as ``numpy.savez`` and ``numpy.savez_compressed`` write.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Stored members are views of
the mapped file; compressed ones take the memory that they say, within bounds.
"""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from weight_port.errors import DAMAGE, DestinationError, FormatError
from weight_port.formats.contents import Contents
from weight_port.storage import zips
from weight_port.storage.buffers import BFLOAT16, dtype_called, raw_bytes, view
from weight_port.storage.copies import copied
from weight_port.storage.sources import File

SUFFIX = ".npy"
_MAX_HEADER = 10_000  # NumPy's own bound
_LENGTHS = {(1, 0): "<H", (2, 0): "<I", (3, 0): "<I"}  # of the header, by version
# The one form in which NumPy writes it; no Python expression is evaluated.
_HEADER = re.compile(
    r"\{'descr': '([<|>][a-zA-Z])([1-9][0-9]?)', 'fortran_order': (True|False), "
    r"'shape': \(((?:[0-9]+, ?)*)([0-9]*)\), \}[ ]*\n"
)


def read(file: File) -> Contents:
    """Every array by name. Raises FormatError."""
    data = file.load()
    members = zips.members(data, file.where)
    zips.check_sizes(members, len(data), file.where)
    tensors = {}
    for name, info in members.items():
        if not name.endswith(SUFFIX):
            raise FormatError(f"{file.where}: holds {name!r:.200}, which is no {SUFFIX} file")
        raw = zips.checked(data, info, file.where)
        try:
            tensors[name.removesuffix(SUFFIX)] = _array(raw)
        except DAMAGE as error:
            raise FormatError(f"{file.where}: {name!r:.200}: {error}") from None
    return Contents(tensors)


def _array(raw: memoryview) -> np.ndarray:
    head = copied(raw[: 12 + _MAX_HEADER])
    if bytes(head[:6]) != b"\x93NUMPY":
        raise ValueError("not NumPy's array format")
    version = head[6], head[7]
    if version not in _LENGTHS:
        raise ValueError(f"version {version[0]}.{version[1]} of the format; 1.0 to 3.0 are read")
    start = 8 + struct.calcsize(_LENGTHS[version])
    (length,) = struct.unpack(_LENGTHS[version], head[8:start])
    if length > min(_MAX_HEADER, len(raw) - start):
        raise ValueError(f"a header of {length} bytes: truncated or damaged")
    match = _HEADER.fullmatch(bytes(head[start : start + length]).decode("latin1"))
    if match is None:
        raise ValueError("an array of other than numbers (Python objects, say): refused")
    kind, size_text, fortran, *shape = match.groups()
    sizes = _sizes(*shape)
    return view(raw[start + length :], _dtype(kind, int(size_text)), sizes, fortran == "True")


def _sizes(first: str, last: str) -> list[int]:
    """The sizes of a shape as Python writes a tuple: ``()``, ``(3,)``, ``(3, 4)``."""
    texts = [part.strip() for part in first.split(",")[:-1]] + ([last] if last else [])
    if last and not first:
        raise ValueError("a shape that is a number")
    if any(text.startswith("0") and text.strip("0") for text in texts):
        raise ValueError("a shape with a number that begins with 0")
    return [int(text) for text in texts]


def _dtype(kind: str, size: int) -> np.dtype:
    if kind[0] == ">":
        raise ValueError("big-endian numbers; save them again on a little-endian machine")
    if kind[1] == "V" and size == 2:  # NumPy doesn't know bfloat16, and writes two bytes
        return dtype_called(BFLOAT16)
    if kind[1] not in "biufc":
        raise ValueError(f"an array of {kind[1]!r}, which is no number: refused")
    return np.dtype(f"{kind}{size}")


def _head(array: np.ndarray) -> bytes:
    # np.save spells a bfloat16 array "<V2" too.
    descr = "<V2" if array.dtype.name == BFLOAT16 else array.dtype.str
    shape = "".join(f"{size}, " for size in array.shape).rstrip()
    shape = shape if array.ndim == 1 else shape.rstrip(",")
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}"
    padding = " " * (-(len(text) + 11) % 64)
    return (
        b"\x93NUMPY\x01\0"
        + struct.pack("<H", len(text + padding) + 1)
        + (text + padding + "\n").encode("latin1")
    )


def write(stream: BinaryIO, tensors: Mapping[str, np.ndarray]) -> None:
    """Write a stored zip that ``numpy.load`` reads, one ``.npy`` per tensor.

    Raises DestinationError for a dtype that ``.npy`` has no name for.
    """
    for key, array in tensors.items():
        plain = array.dtype.kind in "biufc" and array.dtype.byteorder != ">"
        if array.dtype.name != BFLOAT16 and not plain:
            raise DestinationError(f"{key}: .npz has no dtype {array.dtype}")
        if "\0" in key:  # zipfile would end the name there
            raise DestinationError(f"{key!r:.200}: a zip has no names with NUL in them")
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for key, array in tensors.items():
            zips.add(archive, key + SUFFIX, _head(array), raw_bytes(array))
