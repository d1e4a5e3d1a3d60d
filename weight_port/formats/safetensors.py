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
from weight_port.formats.contents import Contents, check_total
from weight_port.storage import json_data, phases
from weight_port.storage.buffers import BFLOAT16, dtype_called, dtype_name, raw_bytes, view
from weight_port.storage.maps import map_bytes
from weight_port.storage.sources import File

if TYPE_CHECKING:
    from weight_port.storage.digest import Digest  # which loads OpenSSL

DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": BFLOAT16,
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_MAX_HEADER = 100_000_000  # the package's own bound


def _header(where: str, data: memoryview) -> tuple[dict[str, Any], int]:
    """(header, where the data starts); raises FormatError."""
    if len(data) < 8:
        raise FormatError(f"{where}: {len(data)} bytes are no safetensors file; get it again")
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(len(data) - 8, _MAX_HEADER):
        raise FormatError(
            f"{where}: its header would take {length} bytes of {len(data)}: truncated, or not a "
            "safetensors file"
        )
    try:
        header = json_data.load(data[8 : 8 + length], len(data))
    except (ValueError, RecursionError) as error:
        raise FormatError(
            f"{where}: its header is no JSON: {error!s:.200}: not a safetensors file"
        ) from None
    if not isinstance(header, dict):
        raise FormatError(f"{where}: its header is no JSON object: not a safetensors file")
    return header, 8 + length


def _tensor(entry: Any, data: memoryview) -> np.ndarray:
    begin, end = entry["data_offsets"]
    if entry["dtype"] not in DTYPES:
        raise ValueError(f"dtype {shown(entry['dtype'])} is none of {', '.join(DTYPES)}")
    if any(not isinstance(offset, int) for offset in (begin, end)) or not 0 <= begin <= end:
        raise ValueError("offsets of other than whole numbers")
    if end > len(data):
        raise ValueError(f"its data ends at byte {end} of {len(data)}: truncated; get it again")
    return view(data[begin:end], dtype_called(DTYPES[entry["dtype"]]), entry["shape"])


def read(file: File) -> Contents:
    """Every tensor by name, as views of the memory-mapped file. Raises FormatError."""
    data = file.load()
    header, start = _header(file.where, data)
    metadata = header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        try:
            tensors[name] = _tensor(entry, data[start:])
        except DAMAGE as error:
            raise FormatError(
                f"{file.where}: damaged entry of tensor {name!r:.200}: {error!s:.200}"
            ) from None
    check_total(tensors, len(data), file.where)
    texts = _texts(metadata)
    notes = tuple(brief(f"metadata {key}: {value}") for key, value in texts.items())
    return Contents(tensors, notes, architecture=texts.get("architecture", ""))


def read_metadata(path: Path) -> dict[str, str]:
    """The file's ``__metadata__``, empty where there is none. Raises FormatError."""
    header, _ = _header(str(path), map_bytes(path))
    return _texts(header.get("__metadata__"))


def _texts(metadata: Any) -> dict[str, str]:
    """The texts among the metadata: the format has nothing else there."""
    items = metadata.items() if isinstance(metadata, dict) else ()
    return {key: value for key, value in items if isinstance(value, str)}


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
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
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
