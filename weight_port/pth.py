"""``.pth``: what ``torch.save`` writes, read and written without torch.

Since torch 1.6 a stored zip of ``data.pkl`` and one file per storage
(``torch/serialization.py``, ``caffe2/serialize/inline_container.cc``); before that pickles one
after another and then the storages. Both are read, only the zip is written.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

from weight_port.arrays import NUMPY_GLOBALS, PendingArray
from weight_port.disk import map_bytes
from weight_port.errors import DestinationError, FormatError
from weight_port.unpickle import Global, Reader

_STORAGES = {
    "FloatStorage": np.dtype("float32"),
    "DoubleStorage": np.dtype("float64"),
    "HalfStorage": np.dtype("float16"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("int64"),
    "IntStorage": np.dtype("int32"),
    "ShortStorage": np.dtype("int16"),
    "CharStorage": np.dtype("int8"),
    "ByteStorage": np.dtype("uint8"),
    "BoolStorage": np.dtype("bool"),
    "ComplexFloatStorage": np.dtype("complex64"),
    "ComplexDoubleStorage": np.dtype("complex128"),
}
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_NESTED = ("state_dict", "model_state_dict", "model", "net")  # where training loops put weights
_ALIGNMENT = 64  # torch aligns storages so that they can be memory-mapped


class _Storage:
    """A storage whose bytes may come later, as in the legacy format."""

    def __init__(self, dtype: np.dtype, count: int) -> None:
        self.dtype, self.count = dtype, count
        self.raw: memoryview | bytes = b""


class _Tensor:
    """A view into a storage: offset, shape and strides, in elements."""

    def __init__(self, storage: Any, offset: int, shape: Any, stride: Any, *_: Any) -> None:
        numbers = (offset, *shape, *stride)
        if not isinstance(storage, _Storage) or len(shape) != len(stride):
            raise ValueError("tensor without a storage")
        if any(not isinstance(number, int) or number < 0 for number in numbers):
            raise ValueError("negative offset, size or stride")
        self.storage, self.offset, self.shape, self.stride = storage, offset, shape, stride

    def array(self) -> np.ndarray:
        """The tensor as a view; raises ValueError where it would reach past its storage."""
        flat = np.frombuffer(self.storage.raw, dtype=self.storage.dtype)
        if 0 in self.shape:
            return np.empty(self.shape, dtype=flat.dtype)
        steps = zip(self.shape, self.stride, strict=True)
        last = self.offset + sum((size - 1) * stride for size, stride in steps)
        if last >= flat.size:
            raise ValueError(f"element {last} of a storage of {flat.size}")
        strides = [stride * flat.itemsize for stride in self.stride]
        return np.lib.stride_tricks.as_strided(
            flat[self.offset :], self.shape, strides, writeable=False
        )


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _ordered_dict(items: Any = ()) -> dict[Any, Any]:
    return {key: value for key, value in items if isinstance(key, (str, int))}


GLOBALS: dict[tuple[str, str], Any] = {
    **NUMPY_GLOBALS,
    ("collections", "OrderedDict"): _ordered_dict,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    **{("torch", name): Global(name) for name in _STORAGES},
}


def _storage(identity: Any) -> tuple[str, _Storage]:
    """(key, storage) of torch's persistent id ('storage', type, key, location, count, …)."""
    kind, storage_type, key, _, count = identity[:5]
    if kind != "storage" or not isinstance(storage_type, Global) or not isinstance(key, str):
        raise ValueError("persistent id is no storage")
    if not isinstance(count, int) or count < 0:
        raise ValueError(f"storage of {count!r} elements")
    return key, _Storage(_STORAGES[storage_type.name], count)


def _read_zip(path: Path, data: memoryview) -> Any:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise FormatError(f"{path}: truncated or damaged zip ({error}); get it again") from None
    with archive:
        members = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in members if name.rsplit("/", 1)[-1] == "data.pkl"]
        if len(pickles) != 1:
            raise FormatError(f"{path}: a zip without torch's data.pkl: not a torch checkpoint")
        root = pickles[0][: -len("data.pkl")]
        order = members.get(f"{root}byteorder")
        if order and bytes(_member(path, data, order)) != b"little":
            raise FormatError(f"{path}: written on a big-endian machine; save it again elsewhere")
        storages: dict[str, _Storage] = {}

        def persistent(identity: Any) -> _Storage:
            key, storage = _storage(identity)
            if key not in storages:
                storage.raw = _member(path, data, members[f"{root}data/{key}"])
                storages[key] = storage
            return storages[key]

        return Reader(
            _member(path, data, members[pickles[0]]), GLOBALS, str(path), persistent
        ).read()


def _member(path: Path, data: memoryview, info: zipfile.ZipInfo) -> memoryview:
    """The bytes of a stored member, as a view (torch compresses none)."""
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        raise FormatError(f"{path}: {info.filename} is compressed; torch stores. Unzip it first")
    header = data[info.header_offset : info.header_offset + 30]
    if len(header) < 30 or bytes(header[:4]) != b"PK\x03\x04":
        raise FormatError(f"{path}: damaged zip at {info.filename}")
    start = info.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
    if start + info.file_size > len(data):
        raise FormatError(f"{path}: truncated: {info.filename} ends past the file's end")
    return data[start : start + info.file_size]


def _read_legacy(path: Path, data: memoryview) -> Any:
    storages: dict[str, _Storage] = {}

    def persistent(identity: Any) -> _Storage:
        key, storage = _storage(identity)
        return storages.setdefault(key, storage)

    values: list[Any] = []
    position = 0
    for _ in range(5):  # magic, protocol, system, the object, the storages' keys
        reader = Reader(data, GLOBALS, str(path), persistent, position)
        values.append(reader.read())
        position = reader.position
        if values[0] != _LEGACY_MAGIC:
            raise FormatError(f"{path}: a pickle, but not one that torch.save wrote")
    for key in values[4]:
        storage = storages[key]
        (count,) = struct.unpack("<q", data[position : position + 8])
        size = count * storage.dtype.itemsize
        if count != storage.count or position + 8 + size > len(data):
            raise FormatError(f"{path}: truncated or damaged storage {key!r}; get it again")
        storage.raw = data[position + 8 : position + 8 + size]
        position += 8 + size
    return values[3]


def _state(value: Any) -> Any:
    """The dict of tensors itself, or the one that a training loop put it in."""
    for _ in range(2):
        if isinstance(value, dict) and not any(_is_tensor(item) for item in value.values()):
            value = next((value[key] for key in _NESTED if key in value), value)
    return value


def _is_tensor(value: Any) -> bool:
    return isinstance(value, (_Tensor, PendingArray))


def read(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of a state dict, by its key, as views of the memory-mapped file.

    A state dict nested under state_dict, model_state_dict, model or net is found. Raises
    UnsafeFileError for a pickle that is more than data, FormatError for a damaged file or one
    without tensors.
    """
    data = map_bytes(path)
    load: Callable[[Path, memoryview], Any] = (
        _read_zip if bytes(data[:2]) == b"PK" else _read_legacy
    )
    try:
        state = _state(load(path, data))
        if not isinstance(state, dict):
            raise FormatError(f"{path}: holds a {type(state).__name__}, not tensors by name")
        found = {str(key): item for key, item in state.items() if _is_tensor(item)}
        if not found:
            keys = ", ".join(map(str, list(state)[:8])) or "nothing"
            raise FormatError(f"{path}: no tensors found; its keys: {keys}")
        if len(found) < len(state):
            odd = next(str(key) for key, item in state.items() if not _is_tensor(item))
            raise FormatError(f"{path}: {odd!r} is not a tensor beside tensors; save a state dict")
        return {
            key: item.array() if isinstance(item, _Tensor) else item.array
            for key, item in found.items()
        }
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise FormatError(f"{path}: damaged torch checkpoint: {error!r}") from None


def _pickle(tensors: Mapping[str, np.ndarray]) -> bytes:
    """``data.pkl``: an OrderedDict of tensors, one storage each."""
    names = {dtype: name for name, dtype in _STORAGES.items()}
    out = io.BytesIO()
    out.write(b"\x80\x02ccollections\nOrderedDict\n)R(")
    for number, (key, array) in enumerate(tensors.items()):
        if array.dtype not in names:
            raise DestinationError(f"{key}: torch has no storage for dtype {array.dtype}")
        out.write(_text(key) + b"ctorch._utils\n_rebuild_tensor_v2\n(")
        storage = b"ctorch\n" + names[array.dtype].encode() + b"\n"
        out.write(b"(" + _text("storage") + storage + _text(str(number)) + _text("cpu"))
        out.write(_int(array.size) + b"tQ" + _int(0))
        strides: list[int] = []
        step = 1
        for size in reversed(array.shape):
            strides.insert(0, step)
            step *= size
        out.write(b"(" + b"".join(map(_int, array.shape)) + b"t")
        out.write(b"(" + b"".join(map(_int, strides)) + b"t")
        out.write(b"\x89ccollections\nOrderedDict\n)RtR")
    out.write(b"u.")
    return out.getvalue()


def _text(value: str) -> bytes:
    encoded = value.encode("utf-8")
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _int(value: int) -> bytes:
    return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)


def write(stream: BinaryIO, tensors: Mapping[str, np.ndarray]) -> None:
    """Write a state dict as ``torch.load(weights_only=True, mmap=True)`` reads it."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "archive/data.pkl", _pickle(tensors))
        _add(archive, "archive/byteorder", b"little")
        for number, array in enumerate(tensors.values()):
            data = np.ascontiguousarray(array)
            # View as bytes: dtypes from outside NumPy, as bfloat16, have no buffer format.
            _add(archive, f"archive/data/{number}", data.reshape(-1).view(np.uint8).data)
        _add(archive, "archive/version", b"3\n")


def _add(archive: zipfile.ZipFile, name: str, data: bytes | memoryview) -> None:
    """Add a stored member whose data starts at a multiple of the alignment."""
    info = zipfile.ZipInfo(name)  # its date is fixed at 1980, so equal weights give equal bytes
    assert archive.fp is not None
    start = archive.fp.tell() + 30 + len(name.encode()) + 4
    padding = -start % _ALIGNMENT
    info.extra = struct.pack("<HH", 0x4246, padding) + b"Z" * padding  # "FB", as torch pads
    with archive.open(info, "w") as member:
        member.write(data)
