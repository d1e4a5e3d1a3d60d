"""The header of ``.safetensors``, as strict as the reference implementation.

https://github.com/huggingface/safetensors, ``safetensors/src/tensor.rs``: what it refuses is
refused here too, and beyond that a name that stands twice, which the format forbids and the package
doesn't look for. Two readers that take one file for two networks are how an attack begins.
"""

from __future__ import annotations

import json
import math
import struct
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from weight_port.errors import DAMAGE, FormatError, shown
from weight_port.storage import json_data
from weight_port.storage.buffers import BFLOAT16, byte_count, dtype_called
from weight_port.storage.copies import copied

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
METADATA = "__metadata__"
_FIELDS = ("dtype", "shape", "data_offsets")
_MAX_HEADER = 100_000_000  # bytes; the package's own bound
_DEEPEST = 127  # objects and arrays in one another (serde_json)
_MAX_SIZE = 1 << 64  # bytes, and elements, that its numbers hold
_BOM = b"\xef\xbb\xbf"


class Entry(NamedTuple):
    """Where a tensor's bytes stand in the data, and what they are."""

    dtype: str  # as the file has it
    shape: list[int]
    begin: int
    end: int


class Header(NamedTuple):
    """What stands before the data, which begins at ``start``."""

    entries: dict[str, Entry]
    metadata: dict[str, str]
    start: int


def read(where: str, data: memoryview) -> Header:
    """The header of a file, checked against its size; raises FormatError."""
    document, start = _document(where, data)
    metadata = _metadata(where, document.pop(METADATA, None))
    entries = {}
    for name, fields in document.items():
        try:
            entries[name] = _entry(fields, len(data) - start)
        except DAMAGE as error:
            raise FormatError(
                f"{where}: damaged entry of tensor {name!r:.200}: {error!s:.200}"
            ) from None
    _check_layout(where, entries, len(data) - start)
    return Header(entries, metadata, start)


def _document(where: str, data: memoryview) -> tuple[dict[str, Any], int]:
    """(the header's JSON object, where the data starts)."""
    if len(data) < 8:
        raise FormatError(f"{where}: {len(data)} bytes are no safetensors file; get it again")
    (length,) = struct.unpack("<Q", copied(data[:8]))
    if length > min(len(data) - 8, _MAX_HEADER):
        raise FormatError(
            f"{where}: its header would take {length} bytes of {len(data)}: truncated, or not a "
            "safetensors file"
        )
    try:
        document = _parse(data[8 : 8 + length], len(data))
    except (ValueError, RecursionError) as error:
        raise FormatError(
            f"{where}: its header is no JSON: {error!s:.200}: not a safetensors file"
        ) from None
    if not isinstance(document, dict):
        raise FormatError(f"{where}: its header is no JSON object: not a safetensors file")
    return document, 8 + length


# -- JSON that any two parsers take for the same


def _parse(text: memoryview, size: int) -> Any:
    if bytes(copied(text[:3])) == _BOM:
        raise ValueError("a byte-order mark")
    document = json_data.load(
        text,
        size,
        object_pairs_hook=_once,
        parse_int=_integer,
        parse_float=_finite,
        parse_constant=_constant,
    )
    _check_depth(document, _DEEPEST)
    if b"\\u" in bytes(copied(text)):  # Python takes half of a surrogate pair, which no UTF-8 has
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"{shown(twice)} stands there twice")
    return members


def _integer(text: str) -> int | float:
    """A whole number; -0 and what 64 bits don't hold are none."""
    number = int(text)
    return number if text != "-0" and abs(number) < _MAX_SIZE else _finite(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"a number out of range: {text:.20}")
    return number


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _check_depth(value: Any, left: int) -> None:
    if not isinstance(value, (dict, list)):
        return
    if not left:
        raise ValueError(f"nested more than {_DEEPEST} deep")
    for item in value.values() if isinstance(value, dict) else value:
        _check_depth(item, left - 1)


# -- what it says


def _metadata(where: str, metadata: Any) -> dict[str, str]:
    if metadata is None:
        return {}
    if not isinstance(metadata, dict) or any(not isinstance(v, str) for v in metadata.values()):
        raise FormatError(
            f"{where}: its {METADATA} must lead from texts to texts; write the file again with the "
            "safetensors package"
        )
    return metadata


def _entry(fields: Any, size: int) -> Entry:
    """The entry of a tensor in ``size`` bytes of data; raises one of DAMAGE."""
    if not isinstance(fields, dict):
        raise TypeError(f"a {type(fields).__name__} instead of {', '.join(_FIELDS)}")
    begin, end = fields["data_offsets"]
    dtype, shape = fields["dtype"], fields["shape"]
    if dtype not in DTYPES:
        raise ValueError(f"dtype {shown(dtype)} is none of {', '.join(DTYPES)}")
    if any(type(offset) is not int for offset in (begin, end)) or not 0 <= begin <= end:
        raise ValueError("offsets of other than whole numbers")
    if end > size:
        raise ValueError(f"its data ends at byte {end} of {size}: truncated; get it again")
    if not isinstance(shape, list) or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError("a shape of other than whole numbers")
    kind = dtype_called(DTYPES[dtype])
    if byte_count(shape, kind) != end - begin:
        raise ValueError(f"shape {shape} of {kind} in {end - begin} bytes")
    _check_product(shape, kind.itemsize)
    return Entry(dtype, shape, begin, end)


def _check_product(shape: list[int], itemsize: int) -> None:
    """Raises OverflowError where the sizes, one after another, grow past 64 bits: before a 0."""
    count = 1
    for size in shape:
        count *= size
        if count >= _MAX_SIZE:
            raise OverflowError(f"a shape of {count} elements and more")
    if count * itemsize * 8 >= _MAX_SIZE:
        raise OverflowError(f"a shape of {count} elements")


def _check_layout(where: str, entries: Mapping[str, Entry], size: int) -> None:
    """Raises FormatError unless the tensors fill the data, one after another, without a gap."""
    at = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != at:
            what = "bytes before it are no tensor's" if entry.begin > at else "overlaps another"
            raise FormatError(
                f"{where}: tensor {shown(name)} begins at byte {entry.begin} of the data, not at "
                f"{at}: {what}; damaged or made to deceive, write it again from its source"
            )
        at = entry.end
    if at != size:
        raise FormatError(
            f"{where}: {size - at} bytes after its last tensor: joined with another file, or "
            "damaged; get it again"
        )
