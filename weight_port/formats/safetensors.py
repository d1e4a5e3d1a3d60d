"""``.safetensors``: u64 length, JSON header, data (https://github.com/huggingface/safetensors).

The ``safetensors`` package copies every tensor into memory on both ways; these few lines map the
file when reading and stream it when writing. The package checks them in the tests.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from weight_port.errors import DAMAGE, DestinationError, FormatError, brief, shown
from weight_port.formats import safetensors_header
from weight_port.formats.contents import Contents
from weight_port.formats.safetensors_header import DTYPES, METADATA
from weight_port.storage import phases
from weight_port.storage.buffers import dtype_called, dtype_name, raw_bytes, view
from weight_port.storage.maps import map_bytes
from weight_port.storage.sources import File

if TYPE_CHECKING:
    from weight_port.storage.digest import Digest  # which loads OpenSSL

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def read(file: File) -> Contents:
    """Every tensor by name, as views of the memory-mapped file. Raises FormatError."""
    data = file.load()
    entries, metadata, start = safetensors_header.read(file.where, data)
    tensors = {}
    for name, entry in entries.items():
        raw = data[start + entry.begin : start + entry.end]
        try:
            tensors[name] = view(raw, dtype_called(DTYPES[entry.dtype]), entry.shape)
        except DAMAGE as error:  # a size that NumPy has not, beside a 0
            raise FormatError(f"{file.where}: tensor {shown(name)}: {error!s:.200}") from None
    notes = tuple(brief(f"metadata {key}: {value}") for key, value in metadata.items())
    return Contents(tensors, notes, architecture=metadata.get("architecture", ""))


def read_metadata(path: Path) -> dict[str, str]:
    """The file's ``__metadata__``, empty where there is none. Raises FormatError."""
    return safetensors_header.read(str(path), map_bytes(path)).metadata


def write(
    stream: BinaryIO,
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, str | Digest] | None = None,
) -> None:
    """Write tensors; larger items first, so that every one is aligned to its dtype.

    A digest among the metadata is a SHA-256 that is still being computed: it is put in at the end.
    """
    for name, array in tensors.items():
        if dtype_name(array.dtype) not in _NAMES:
            raise DestinationError(f"{name}: safetensors has no dtype {array.dtype}")
    ordered = sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize)
    start = stream.tell()
    stream.write(_encode_header(ordered, {k: _known(v) for k, v in (metadata or {}).items()}))
    for _, array in ordered:
        stream.write(raw_bytes(array))
    if any(not isinstance(value, str) for value in (metadata or {}).values()):
        phases.begin(phases.DIGEST)
        complete = {k: _known(v, wait=True) for k, v in (metadata or {}).items()}
        phases.begin(phases.WRITE)
        stream.seek(start)
        stream.write(_encode_header(ordered, complete))
        stream.seek(0, os.SEEK_END)


def _known(value: str | Digest, wait: bool = False) -> str:
    """A value, or as many zeros as it will have digits."""
    if isinstance(value, str):
        return value
    return value.result() if wait else "0" * value.length


def _encode_header(ordered: Sequence[tuple[str, np.ndarray]], metadata: dict[str, str]) -> bytes:
    header: dict[str, Any] = {METADATA: metadata} if metadata else {}
    offset = 0
    for name, array in ordered:
        header[name] = {
            "dtype": _NAMES[dtype_name(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    return struct.pack("<Q", len(encoded)) + encoded
