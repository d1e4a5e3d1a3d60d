"""``.npy`` of a dict, and ``.pkl``: arrays by name in a pickle that is no framework's.

``numpy.save`` of a dict is an array of one Python object, pickled behind ``.npy``'s header
(tensorpack's and Caffe converters' models). ``.pkl`` is what Detectron and Caffe2 save,
``{"blobs": {name: array}}`` from Python 2, detectron2's ``{"model": …}``, or a plain dict. Read by
the interpreter of ``pickles``, which runs nothing.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from weight_port.errors import DAMAGE, FormatError, shown
from weight_port.formats import states
from weight_port.formats.contents import Contents, Tensors, check_count, check_total
from weight_port.pickles.arrays import NUMPY_GLOBALS, PendingArray, encode_into
from weight_port.pickles.reader import Reader, left_out_note
from weight_port.pickles.values import kind_of
from weight_port.storage.scratch import Scratch
from weight_port.storage.sources import File

_MAGIC = b"\x93NUMPY"
_OBJECT = re.compile(rb"\{'descr': '\|O', 'fortran_order': (?:True|False), 'shape': \(\), \} *\n")
_MOST_HEADER = 10_000  # NumPy's own bound
_MOMENTUM = "_momentum"  # Caffe2's, beside each blob (detectron/utils/net.py)
_KEYS = ("blobs", *states.KEYS)
_MAX_NESTING = 8


def read(file: File, key: str | None = None) -> Contents:
    """Every array by its name, those of dicts and lists in dicts as ``outer/inner``.

    Caffe2's momentum is left out and said. Raises UnsafeFileError for a pickle that asks for a
    known attack, FormatError for one without arrays by name.
    """
    data = file.load()
    try:
        start = _pickle_start(data, file.where)
        value, left_out = _unpickled(data, start, file.where)
        return _contents(_one_object(value), key, left_out, len(data), file.where)
    except DAMAGE as error:
        raise FormatError(f"{file.where}: damaged NumPy pickle: {error!s:.200}") from None


def _pickle_start(data: memoryview, where: str) -> int:
    """Where the pickle begins: behind the header of an ``.npy``."""
    if bytes(data[:6]) != _MAGIC:
        return 0
    layout, size = ("<H", 2) if data[6] == 1 else ("<I", 4)
    length: int = struct.unpack(layout, data[8 : 8 + size])[0]
    if length > _MOST_HEADER:
        raise ValueError(f"a header of {length} bytes")
    start = 8 + size + length
    if not _OBJECT.fullmatch(bytes(data[8 + size : start])):
        raise FormatError(
            f"{where}: one NumPy array, without names; save a dict of arrays as .npz: "
            "np.savez(FILE, **tensors)"
        )
    return start


def _unpickled(data: memoryview, start: int, where: str) -> tuple[Any, tuple[str, ...]]:
    with Scratch(len(data)) as scratch:
        allowed = {**NUMPY_GLOBALS, ("_codecs", "encode"): encode_into(scratch)}
        reader = Reader(data, allowed, where, position=start)
        return reader.read(), tuple(reader.left_out)


def _one_object(value: Any) -> Any:
    """What an array of one Python object holds, or the value itself."""
    if isinstance(value, PendingArray) and value.objects is not None and len(value.objects) == 1:
        return value.objects[0]
    return value


def _contents(
    value: Any, key: str | None, left_out: tuple[str, ...], size: int, where: str
) -> Contents:
    if not isinstance(value, dict):
        raise FormatError(f"{where}: holds a {kind_of(value)}, not arrays by name")
    blobs = isinstance(value.get("blobs"), dict) and key in (None, "blobs")
    # Without a usual key the dicts are a network's layers, be there one or many.
    usual = next((usual for usual in _KEYS if _has_arrays(value.get(usual))), None)
    notes: tuple[str, ...] = ()
    if key or usual:
        try:
            value, notes = states.choose(value, _is_array, key or usual)
        except FormatError as error:
            raise type(error)(f"{where}: {error}") from None
    tensors: Tensors = {}
    others: list[str] = []
    momenta = 0
    for name, item in _leaves(value, "", set()):
        if not _is_array(item):
            others.append(states.named(name, item))
        elif blobs and name.endswith(_MOMENTUM):
            momenta += 1
        else:
            tensors[name] = item.array
            check_count(len(tensors), size, where)
    if not tensors:
        some = ", ".join(others[:8]) or "nothing"
        raise FormatError(f"{where}: no arrays by name in it; it holds {some}")
    check_total(tensors, size, where)
    if momenta:
        notes = (*notes, f"left out {momenta} blobs of the optimizer (…{_MOMENTUM})")
    return Contents(tensors, (*notes, *states.no_tensors(others), *left_out_note(left_out)))


def _is_array(item: Any) -> bool:
    return isinstance(item, PendingArray) and item.array is not None


def _has_arrays(value: Any) -> bool:
    return isinstance(value, dict) and any(map(_is_array, value.values()))


def _leaves(value: Mapping[Any, Any], prefix: str, visited: set[int]) -> Iterator[tuple[str, Any]]:
    """Everything in a dict and in the dicts in it; raises ValueError."""
    if id(value) in visited or prefix.count("/") > _MAX_NESTING:
        raise ValueError(f"dicts nested too deep, or one in two places: {shown(prefix)}")
    visited.add(id(value))
    for key, item in value.items():
        name = f"{prefix}{key}"
        if len(name) > 1000:
            raise ValueError(f"a name of {len(name)} characters")
        if isinstance(item, list) and item and all(map(_is_array, item)):
            item = dict(enumerate(item))  # {"conv1_1": [weights, biases]}
        if isinstance(item, dict):
            yield from _leaves(item, f"{name}/", visited)
        else:
            yield name, item
