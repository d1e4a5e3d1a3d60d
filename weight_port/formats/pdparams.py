"""``.pdparams``: the pickle that ``paddle.save`` writes (``python/paddle/framework/io.py``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from weight_port.errors import DAMAGE, DestinationError, FormatError, UnsafeFileError, shown
from weight_port.formats import states
from weight_port.formats.contents import Contents, check_total
from weight_port.pickles import writer as op
from weight_port.pickles.arrays import NUMPY_GLOBALS, PendingArray, encode_into
from weight_port.pickles.reader import Reader, left_out_note
from weight_port.pickles.values import kind_of
from weight_port.storage.buffers import BFLOAT16, dtype_called, raw_bytes
from weight_port.storage.scratch import Scratch
from weight_port.storage.sources import File

NAME_TABLE = "StructuredToParameterName@@"
_MAX_NESTING = 8
SLICES = "UnpackBigParamInfor@@"  # Paddle's spelling
# Paddle hands bfloat16 to NumPy as uint16, and takes every uint16 array for bfloat16:
# `paddle.uint16 is paddle.bfloat16` (python/paddle/base/data_feeder.py).
_UINT16 = np.dtype("uint16")


def _named_tensor(pair: Any) -> Any:
    """``tuple((name, array))``: how Paddle pickles a tensor since 2.1."""
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise ValueError("a tuple made of other than a name and an array")
    return pair


def _lod_tensor(expression: Any, names: Any) -> Any:
    """A bare LoDTensor is pickled as eval("data", {"data": array}): take the array, no eval."""
    if expression != "data" or not isinstance(names, dict) or set(names) != {"data"}:
        raise UnsafeFileError(f"the pickle asks for builtins.eval of {shown(expression)}; refused")
    return names["data"]


GLOBALS = {
    **NUMPY_GLOBALS,
    ("builtins", "tuple"): _named_tensor,
    ("builtins", "eval"): _lod_tensor,
    ("__builtin__", "tuple"): _named_tensor,  # as protocol 2 spells it
    ("__builtin__", "eval"): _lod_tensor,
}


def _array(value: Any) -> np.ndarray | None:
    """The array behind a value, if it is a tensor in any of Paddle's three forms."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        value = value[1]  # (name, ndarray), since Paddle 2.1
    if not isinstance(value, PendingArray) or value.array is None:
        return None
    halves = value.array.dtype == _UINT16
    return value.array.view(dtype_called(BFLOAT16)) if halves else value.array


def read(file: File, key: str | None = None) -> Contents:
    """Every tensor of a state dict, by its key; Paddle's own tables are left out.

    16-bit unsigned integers are bfloat16, as for ``paddle.load``. A state dict in a dict of other
    things is found; dicts in dicts (an optimizer's ``master_weights``) are read as ``outer/inner``,
    and what is no tensor (a learning rate, an epoch) is left out and said. Raises UnsafeFileError
    for a pickle that is more than data, FormatError for one that holds no tensors by name.
    """
    data = file.load()
    value, left_out = _unpickle(data, file.where)
    if not isinstance(value, dict):
        raise FormatError(f"{file.where}: holds a {kind_of(value)}, not tensors by name")
    try:
        value, notes = states.choose(value, lambda item: _array(item) is not None, key)
    except FormatError as error:
        raise type(error)(f"{file.where}: {error}") from None
    value.pop(NAME_TABLE, None)
    collected = _Found(len(data))
    try:
        collected.collect(value, "")
    except DAMAGE as error:
        raise FormatError(f"{file.where}: {error}") from None
    tensors, others = collected.tensors, collected.others
    if not tensors:
        some = ", ".join(other[:80] for other in others[:8]) or "nothing"
        raise FormatError(f"{file.where}: no tensors found; it holds {some}")
    check_total(tensors, len(data), file.where)
    halves = sum(array.dtype.name == BFLOAT16 for array in tensors.values())
    if halves:
        notes += (f"{halves} of 16-bit integers read as bfloat16, as paddle.load does",)
    return Contents(tensors, (*notes, *states.no_tensors(others), *left_out_note(left_out)))


def _unpickle(data: memoryview, where: str) -> tuple[Any, tuple[str, ...]]:
    with Scratch(len(data)) as scratch:
        allowed = {**GLOBALS, ("_codecs", "encode"): encode_into(scratch)}
        try:
            reader = Reader(data, allowed, where)
            return reader.read(), tuple(reader.left_out)
        except OSError as error:
            raise FormatError(
                f"{where}: of pickle protocol 2 or 3, whose tensors are decoded into a temporary "
                f"file, and there: {error.strerror}; set TMPDIR to a folder with more room"
            ) from None


class _Found:
    """What is in a dict and in the dicts in it, of a file of ``size`` bytes."""

    def __init__(self, size: int) -> None:
        self.left = size  # bytes that joined slices may still take
        self.tensors: dict[str, np.ndarray] = {}
        self.others: list[str] = []  # what is no tensor, and its type
        self.seen: set[int] = set()

    def collect(self, value: dict[Any, Any], prefix: str) -> None:
        """Sort the entries of a dict into tensors and other things; raises ValueError."""
        if prefix.count("/") > _MAX_NESTING:
            raise RecursionError("dicts nested too deep")
        if id(value) in self.seen:  # a dict in each place of a dict in each place …
            raise ValueError(f"the dict {shown(prefix)} stands in two places")
        self.seen.add(id(value))
        tensors: dict[str, np.ndarray] = {}
        names: set[str] = set()
        slices = value.pop(SLICES, {})
        for key, item in value.items():
            name, array = f"{prefix}{key}", _array(item)
            if name in names:
                raise ValueError(f"{shown(name)} is there twice, as text and as a number")
            names.add(name)
            if array is not None:
                tensors[name] = array
            elif isinstance(item, dict) and item and key != NAME_TABLE:
                self.collect(item, f"{name}/")
            else:
                self.others.append(states.named(name, item))
        try:
            self._join(tensors, slices, prefix)
        except DAMAGE as error:
            raise ValueError(f"damaged {SLICES} table: {error}") from None
        if clash := self.tensors.keys() & tensors.keys():
            raise ValueError(f"two tensors are called {shown(min(clash))}")
        self.tensors.update(tensors)

    def _join(self, tensors: dict[str, np.ndarray], slices: Any, prefix: str) -> None:
        """Put together the tensors that protocols 2 and 3 cut (``framework/io_utils.py``).

        One array can stand under many names in a pickle, so what they make together is held
        against the size of the file.
        """
        for key, entry in slices.items():
            parts = [tensors.pop(prefix + part) for part in entry["slices"]]
            self.left -= sum(part.nbytes for part in parts)
            if self.left < 0:
                raise ValueError("its slices take more bytes than the file has")
            if f"{prefix}{key}" in tensors:
                raise ValueError(f"{shown(key)} is there whole, too")
            tensors[f"{prefix}{key}"] = np.concatenate(parts).reshape(entry["OriginShape"])


# NumPy 1 and 2 both resolve this path without a warning; numpy._core is unknown to NumPy 1.
_EMPTY_ARRAY = op.call(
    op.global_("numpy.core.multiarray", "_reconstruct"),
    op.global_("numpy", "ndarray"),
    op.integers([0]),
    op.data_head(1) + b"b",
)


def _array_head(array: np.ndarray) -> bytes:
    """The opcodes of ndarray.__reduce__ up to the bytes of the data, for little-endian data."""
    order = op.text("|" if array.dtype.itemsize == 1 else "<")
    dtype = op.call(op.global_("numpy", "dtype"), op.text(array.dtype.str[1:]), op.FALSE, op.TRUE)
    dtype_state = op.tuple_(
        op.integer(3), order, op.NONE, op.NONE, op.NONE, *map(op.integer, (-1, -1, 0))
    )
    shape = op.integers(array.shape)
    return (
        _EMPTY_ARRAY + op.MARK + op.integer(1) + shape + dtype + dtype_state + op.BUILD + op.FALSE
    )


def write(
    stream: BinaryIO, tensors: Mapping[str, np.ndarray], names: Mapping[str, str] | None = None
) -> None:
    """Write a state dict as a protocol 4 pickle that ``paddle.load`` reads.

    ``names`` is the table from structured names to ``Parameter.name``. Raises DestinationError
    for a dtype that Paddle would not read back.
    """
    stream.write(op.protocol(4) + op.DICT + op.MARK)
    for key, array in tensors.items():
        if array.dtype.name == BFLOAT16:
            array = array.view(_UINT16)
        elif array.dtype.kind not in "bifc" and array.dtype != np.uint8:
            raise DestinationError(f"{key}: .pdparams has no way to hold dtype {array.dtype}")
        little = np.asarray(array, dtype=array.dtype.newbyteorder("<"))
        stream.write(op.text(key) + _array_head(little) + op.data_head(little.nbytes))
        stream.write(raw_bytes(little))
        stream.write(op.TUPLE + op.BUILD)
    if names is not None:
        table = b"".join(op.text(key) + op.text(name) for key, name in names.items())
        stream.write(op.text(NAME_TABLE) + op.DICT + op.MARK + table + op.SET_ITEMS)
    stream.write(op.SET_ITEMS + op.STOP)
