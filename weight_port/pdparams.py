"""``.pdparams``: the pickle that ``paddle.save`` writes (``python/paddle/framework/io.py``)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from weight_port.arrays import NUMPY_GLOBALS, PendingArray
from weight_port.disk import map_bytes
from weight_port.errors import DestinationError, FormatError, UnsafeFileError
from weight_port.unpickle import Reader

NAME_TABLE = "StructuredToParameterName@@"
SLICES = "UnpackBigParamInfor@@"  # Paddle's spelling


def _plain_tuple(items: Any) -> tuple[Any, ...]:
    return tuple(items)


def _plain_dict(items: Any = ()) -> dict[Any, Any]:
    return {key: value for key, value in items if isinstance(key, (str, int))}


def _lod_tensor(expression: Any, names: Any) -> Any:
    """A bare LoDTensor is pickled as eval("data", {"data": array}): take the array, no eval."""
    if expression != "data" or not isinstance(names, dict) or set(names) != {"data"}:
        raise UnsafeFileError(f"the pickle asks to evaluate {expression!r}; refused")
    return names["data"]


GLOBALS = {
    **NUMPY_GLOBALS,
    ("builtins", "tuple"): _plain_tuple,
    ("builtins", "eval"): _lod_tensor,
    ("__builtin__", "tuple"): _plain_tuple,
    ("__builtin__", "eval"): _lod_tensor,
    ("collections", "OrderedDict"): _plain_dict,
}


def _array(value: Any) -> np.ndarray | None:
    """The array behind a value, if it is a tensor in any of Paddle's three forms."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        value = value[1]  # (name, ndarray), since Paddle 2.1
    return value.array if isinstance(value, PendingArray) else None


def _join_slices(tensors: dict[str, np.ndarray], slices: Mapping[str, Any]) -> None:
    """Put together the tensors that protocols 2 and 3 cut (``framework/io_utils.py``)."""
    for key, entry in slices.items():
        parts = [tensors.pop(part) for part in entry["slices"]]
        tensors[key] = np.concatenate(parts).reshape(entry["OriginShape"])


def read(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of a state dict, by its key; Paddle's own tables are left out.

    Raises UnsafeFileError for a pickle that is more than data, FormatError for one that holds
    no tensors by name.
    """
    value = Reader(map_bytes(path), GLOBALS, str(path)).read()
    if not isinstance(value, dict):
        raise FormatError(f"{path}: holds a {type(value).__name__}, not tensors by name")
    value.pop(NAME_TABLE, None)
    slices = value.pop(SLICES, {})
    tensors = {}
    for key, item in value.items():
        array = _array(item)
        if array is None:
            raise FormatError(
                f"{path}: {key!r} is a {type(item).__name__}, not a tensor; weights are read, "
                "optimizer states are not"
            )
        tensors[str(key)] = array
    try:
        _join_slices(tensors, slices)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"{path}: damaged {SLICES} table: {error}") from None
    return tensors


def _text(value: str) -> bytes:
    encoded = value.encode("utf-8")
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _int(value: int) -> bytes:
    encoded = value.to_bytes(8, "little", signed=True)
    return b"\x8a\x08" + encoded


_TRUE, _FALSE, _NONE = b"\x88", b"\x89", b"N"
# NumPy 1 and 2 both resolve this path without a warning; numpy._core is unknown to NumPy 1.
_RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"


def _array_head(array: np.ndarray) -> bytes:
    """The opcodes of ndarray.__reduce__ up to the bytes of the data."""
    kind = array.dtype.str[1:]
    dtype = b"cnumpy\ndtype\n" + _text(kind) + _FALSE + _TRUE + b"\x87R"
    order = _text("|" if array.dtype.itemsize == 1 else "<")
    dtype += b"(" + _int(3) + order + _NONE * 3 + _int(-1) * 2 + _int(0) + b"tb"
    shape = b"(" + b"".join(_int(size) for size in array.shape) + b"t"
    head = _RECONSTRUCT + _int(0) + b"\x85C\x01b\x87R"
    return head + b"(" + _int(1) + shape + dtype + _FALSE


def write(
    stream: BinaryIO, tensors: Mapping[str, np.ndarray], names: Mapping[str, str] | None = None
) -> None:
    """Write a state dict as a protocol 4 pickle that ``paddle.load`` reads.

    ``names`` is the table from structured names to ``Parameter.name``. The opcodes are written
    here and not by ``pickle``, which would hold a copy of every tensor until the end.
    """
    stream.write(b"\x80\x04}(")
    for key, array in tensors.items():
        if array.dtype.kind not in "biufc":
            raise DestinationError(f"{key}: .pdparams has no way to hold dtype {array.dtype}")
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        stream.write(_text(key) + _array_head(array))
        stream.write(b"\x8e" + struct.pack("<Q", little.nbytes))
        stream.write(little.data.cast("B") if little.size else b"")
        stream.write(b"tb")
    if names is not None:
        stream.write(_text(NAME_TABLE) + b"}(")
        for key, name in names.items():
            stream.write(_text(key) + _text(name))
        stream.write(b"u")
    stream.write(b"u.")
