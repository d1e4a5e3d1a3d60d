"""``.pth``: what ``torch.save`` writes, read without torch.

Since torch 1.6 a stored zip of ``data.pkl`` and one file per storage
(``torch/serialization.py``, ``caffe2/serialize/inline_container.cc``); before that pickles one
after another and then the storages. Both are read; ``pth_writer`` writes the zip.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from weight_port.errors import DAMAGE, FormatError, shown
from weight_port.formats.contents import Contents, check_total
from weight_port.formats.states import choose, left_out
from weight_port.pickles.arrays import NUMPY_GLOBALS, PendingArray, plain_dict
from weight_port.pickles.reader import Global, Reader
from weight_port.storage import zips
from weight_port.storage.buffers import BFLOAT16, MAX_DIMENSIONS, dtype_called
from weight_port.storage.sources import File

STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


class _Storage:
    """A storage whose bytes may come later, as in the legacy format."""

    def __init__(self, dtype: np.dtype, count: int) -> None:
        self.dtype, self.count = dtype, count
        self.raw: memoryview | bytes = b""


class _Tensor:
    """A view into a storage: offset, shape and strides, in elements."""

    __slots__ = ("offset", "shape", "storage", "stride")

    def __init__(self, storage: Any, offset: int, shape: Any, stride: Any, *_: Any) -> None:
        if not isinstance(storage, _Storage) or len(shape) != len(stride):
            raise ValueError("tensor without a storage")
        if len(shape) > MAX_DIMENSIONS:
            raise ValueError(f"a shape of {len(shape)} dimensions")
        # Copies: a list could still grow by what nobody looks at.
        shape, stride = tuple(shape), tuple(stride)
        numbers = (offset, *shape, *stride)
        if any(not isinstance(number, int) or number < 0 for number in numbers):
            raise ValueError("negative offset, size or stride")
        self.storage, self.offset, self.shape, self.stride = storage, offset, shape, stride

    def array(self) -> np.ndarray:
        """The tensor as a view; raises ValueError where it would reach past its storage."""
        dtype, raw = self.storage.dtype, self.storage.raw
        if 0 in self.shape:
            return np.empty(self.shape, dtype)
        steps = zip(self.shape, self.stride, strict=True)
        last = self.offset + sum((size - 1) * stride for size, stride in steps)
        if last >= len(raw) // dtype.itemsize:
            raise ValueError(f"element {last} of a storage of {len(raw) // dtype.itemsize}")
        strides = [stride * dtype.itemsize for stride in self.stride]
        return np.ndarray(self.shape, dtype, raw, self.offset * dtype.itemsize, strides)


def _parameter(data: Any, *_: Any) -> Any:
    return data


GLOBALS: dict[tuple[str, str], Any] = {
    **NUMPY_GLOBALS,
    ("collections", "OrderedDict"): plain_dict,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    **{("torch", name): Global(name) for name in STORAGES},
}


def _storage(identity: Any) -> tuple[str, _Storage]:
    """(key, storage) of torch's persistent id ('storage', type, key, location, count, view)."""
    kind, storage_type, key, _, count, *window = identity
    if any(part is not None for part in window):  # torch 0.3 and before
        raise ValueError("a storage that is a part of another; save it again with a newer torch")
    if kind != "storage" or not isinstance(storage_type, Global) or not isinstance(key, str):
        raise ValueError("persistent id is no storage")
    if not isinstance(count, int) or count < 0:
        raise ValueError(f"storage of {shown(count)} elements")
    return key, _Storage(dtype_called(STORAGES[storage_type.name]), count)


def _read_zip(where: str, data: memoryview) -> Any:
    members = zips.members(data, where)
    pickles = [name for name in members if name.rsplit("/", 1)[-1] == "data.pkl"]
    if len(pickles) != 1:
        raise FormatError(f"{where}: a zip without torch's data.pkl: not a torch checkpoint")
    root = pickles[0][: -len("data.pkl")]
    order = members.get(f"{root}byteorder")
    if order and bytes(zips.stored(data, order, where)[:7]) != b"little":
        raise FormatError(f"{where}: written on a big-endian machine; save it again elsewhere")
    storages: dict[str, _Storage] = {}

    def persistent(identity: Any) -> _Storage:
        key, storage = _storage(identity)
        if key not in storages:
            storage.raw = zips.stored(data, members[f"{root}data/{key}"], where)
            storages[key] = storage
        return storages[key]

    stream = zips.stored(data, members[pickles[0]], where)
    return Reader(stream, GLOBALS, where, persistent, size=len(data)).read()


def _read_legacy(where: str, data: memoryview) -> Any:
    storages: dict[str, _Storage] = {}

    def persistent(identity: Any) -> _Storage:
        key, storage = _storage(identity)
        return storages.setdefault(key, storage)

    values: list[Any] = []
    position = held = 0
    for _ in range(5):  # magic, protocol, system, the object, the storages' keys
        reader = Reader(data, GLOBALS, where, persistent, position, held=held)
        values.append(reader.read())
        position, held = reader.position, reader.held
        if values[0] != _LEGACY_MAGIC:
            raise FormatError(f"{where}: a pickle, but not one that torch.save wrote")
    for key in values[4]:
        if not isinstance(key, str):  # hashing a tuple nested a million deep would never end well
            raise ValueError("a storage's key is no text")
        storage = storages[key]
        (count,) = struct.unpack("<q", data[position : position + 8])
        size = count * storage.dtype.itemsize
        if count != storage.count or position + 8 + size > len(data):
            raise FormatError(f"{where}: truncated or damaged storage {shown(key)}; get it again")
        storage.raw = data[position + 8 : position + 8 + size]
        position += 8 + size
    return values[3]


def _array(item: Any) -> np.ndarray | None:
    """The array behind a value, None where it is no tensor."""
    if isinstance(item, _Tensor):
        return item.array()
    return item.array if isinstance(item, PendingArray) else None


def _is_tensor(item: Any) -> bool:
    return isinstance(item, (_Tensor, PendingArray))


def read(file: File) -> Contents:
    """Every tensor of a state dict, by its key, as views of the memory-mapped file.

    A state dict in a dict of other things is found, and what is left beside it is said. Raises
    UnsafeFileError for a pickle that is more than data, FormatError for a damaged file or one
    without tensors.
    """
    data = file.load()
    load: Callable[[str, memoryview], Any] = _read_zip if bytes(data[:2]) == b"PK" else _read_legacy
    try:
        state, notes = choose(load(file.where, data), _is_tensor)
        tensors = _tensors(file.where, state, len(data))
        return Contents(tensors, (*notes, *left_out(state, _is_tensor)))
    except DAMAGE as error:
        raise FormatError(f"{file.where}: damaged torch checkpoint: {error!r:.200}") from None


def _tensors(where: str, state: Any, size: int) -> dict[str, np.ndarray]:
    """The arrays of a state dict out of a file of ``size`` bytes."""
    if not isinstance(state, dict):
        raise FormatError(f"{where}: holds a {type(state).__name__}, not tensors by name")
    arrays = {str(key): _array(item) for key, item in state.items()}
    if len(arrays) != len(state):
        raise FormatError(f"{where}: two tensors have one name, once as text and once as a number")
    tensors = {key: array for key, array in arrays.items() if array is not None}
    if not tensors:
        some = ", ".join(key[:60] for key in list(arrays)[:8]) or "nothing"
        raise FormatError(f"{where}: no tensors found; its keys: {some}")
    for key, array in tensors.items():
        if array.nbytes > size:  # strides of 0 can make any size out of one number
            raise FormatError(
                f"{where}: {shown(key)} takes {array.nbytes} bytes of a file of {size}"
            )
    check_total(tensors, size, where)
    return tensors
