"""``.pth``: what ``torch.save`` writes, read without torch.

Since torch 1.6 a stored zip of ``data.pkl`` and one file per storage
(``torch/serialization.py``, ``caffe2/serialize/inline_container.cc``); before that pickles one
after another and then the storages. Both are read; ``pth_writer`` writes the zip.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from weight_port.errors import DAMAGE, FormatError, shown
from weight_port.formats.contents import Contents, check_total
from weight_port.formats.pth_tensors import (
    GLOBALS,
    Storage,
    identified,
    is_tensor,
    same,
    tensor_of,
    values_of,
    view_of,
)
from weight_port.formats.states import choose, left_out
from weight_port.pickles import modules
from weight_port.pickles.reader import Reader, left_out_note
from weight_port.pickles.values import kind_of
from weight_port.storage import zips
from weight_port.storage.copies import copied
from weight_port.storage.scratch import Scratch
from weight_port.storage.sources import File, Folder, disk_folder

_CONSTANTS = "constants"  # of TorchScript's code, which calls them CONSTANTS.c0, .c1 …
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


class Pickled(NamedTuple):
    """What a pickle holds, the names of what weights have no need of, and all that was read."""

    value: Any
    left_out: tuple[str, ...]
    size: int  # bytes
    notes: tuple[str, ...] = ()


def _read_zip(where: str, data: memoryview) -> Pickled:
    members = zips.members(data, where)
    pickles = [name for name in members if name.rsplit("/", 1)[-1] == "data.pkl"]
    if len(pickles) != 1:
        raise FormatError(f"{where}: a zip without torch's data.pkl: not a torch checkpoint")
    root = pickles[0][: -len("data.pkl")]
    zips.check_sizes(members, len(data), where)
    packed = sum(m.file_size for m in members.values() if m.compress_type != zips.ZIP_STORED)
    with Scratch(packed) as scratch:

        def part(name: str) -> memoryview:
            info = members[f"{root}{name}"]
            content = zips.inflated(data, info, where)
            # torch stores; who packs an archive again may deflate, and memory need not hold that.
            return content if info.compress_type == zips.ZIP_STORED else scratch.put([content])

        has_order = f"{root}byteorder" in members
        pickled = _read_archive(where, part, has_order, len(data))
        if f"{root}{_CONSTANTS}.pkl" not in members:
            return pickled
        constants = _read_archive(where, part, has_order, len(data), _CONSTANTS)
        return _with_constants(pickled, constants)


def _with_constants(pickled: Pickled, constants: Pickled) -> Pickled:
    """A TorchScript module, or, where it was frozen and has no tensors, those of its code."""
    value, _ = modules.opened(pickled.value)
    frozen = isinstance(value, dict) and not any(map(is_tensor, value.values()))
    if not frozen or not isinstance(constants.value, tuple):
        return pickled
    tensors = {f"CONSTANTS.c{n}": item for n, item in enumerate(constants.value)}
    note = "a frozen TorchScript module, whose tensors have no names: they are its code's constants"
    return Pickled(tensors, (*pickled.left_out, *constants.left_out), pickled.size, (note,))


def _read_folder(folder: Folder) -> Pickled:
    """An archive that was unpacked: ``data.pkl``, and the storages in ``data``."""
    storages = disk_folder(Path(folder.where, "data")).files if "data" in folder.others else {}
    parts = (folder.files["data.pkl"], *storages.values())
    size = sum(Path(file.where).stat().st_size for file in parts)

    def part(name: str) -> memoryview:
        files = storages if name.startswith("data/") else folder.files
        return files[name.rsplit("/", 1)[-1]].load()

    return _read_archive(folder.where, part, "byteorder" in folder.files, size)


def _read_archive(
    where: str, part: Callable[[str], memoryview], has_order: bool, size: int, name: str = "data"
) -> Pickled:
    """An archive's value; ``part`` gives a member's bytes by its name under the root.

    The value ``name`` is a pickle, and a folder of the storages in it.
    """
    if has_order and bytes(copied(part("byteorder")[:7])) != b"little":
        raise FormatError(f"{where}: written on a big-endian machine; save it again elsewhere")
    storages: dict[str, Storage] = {}

    def persistent(identity: Any) -> Storage:
        key, storage = identified(identity)
        if key not in storages:
            # Of no elements there may be no bytes: an empty file can't be mapped.
            storage.fill(part(f"{name}/{key}") if storage.count else b"")
            storages[key] = storage
        return same(storages[key], storage)

    reader = Reader(part(f"{name}.pkl"), GLOBALS, where, persistent, size=size)
    return Pickled(reader.read(), tuple(reader.left_out), size)


def _read_legacy(where: str, data: memoryview) -> Pickled:
    storages: dict[str, Storage] = {}

    def persistent(identity: Any) -> Any:
        if isinstance(identity, tuple) and len(identity) == 4 and identity[0] == "module":
            return identity[1]  # a class with its file and source, which nobody reads
        key, storage = identified(identity)
        return same(storages.setdefault(key, storage), storage)

    values: list[Any] = []
    left_out: dict[str, None] = {}
    position = held = 0
    for _ in range(5):  # magic, protocol, system, the object, the storages' keys
        reader = Reader(data, GLOBALS, where, persistent, position, held=held)
        values.append(reader.read())
        position, held = reader.position, reader.held
        left_out.update(reader.left_out)
        if values[0] != _LEGACY_MAGIC:
            raise FormatError(f"{where}: a pickle, but not one that torch.save wrote")
    for key in values[4]:
        if not isinstance(key, str):  # hashing a tuple nested a million deep would never end well
            raise ValueError("a storage's key is no text")
        storage = storages[key]
        (count,) = struct.unpack("<q", copied(data[position : position + 8]))
        size = count * storage.dtype.itemsize
        if count != storage.count or position + 8 + size > len(data):
            raise FormatError(f"{where}: truncated or damaged storage {shown(key)}; get it again")
        storage.fill(data[position + 8 : position + 8 + size])
        position += 8 + size
    return Pickled(values[3], tuple(left_out), len(data))


def read(source: File | Folder, key: str | None = None) -> Contents:
    """Every tensor of a state dict, by its key, as views of the memory-mapped file.

    A state dict in a dict of other things is found, and what is left beside it is said; so are the
    tensors of a whole pickled module and of TorchScript's. Raises UnsafeFileError for a pickle
    that asks for a known attack, FormatError for a damaged file or one without tensors.
    """
    where = source.where
    try:
        if isinstance(source, Folder):
            return _contents(where, _read_folder(source), key)
        data = source.load()
        load = _read_zip if bytes(copied(data[:2])) == b"PK" else _read_legacy
        return _contents(where, load(where, data), key)
    except DAMAGE as error:
        raise FormatError(f"{where}: damaged torch checkpoint: {error!r:.200}") from None


def _contents(where: str, pickled: Pickled, key: str | None) -> Contents:
    value, whole = modules.opened(pickled.value)
    try:
        state, notes = choose(value, is_tensor, key)
    except FormatError as error:
        raise type(error)(f"{where}: {error}") from None
    tensors = _tensors(where, state, pickled.size)
    others = (*left_out(state, is_tensor), *left_out_note(pickled.left_out))
    return Contents(tensors, (*pickled.notes, *whole, *notes, *others))


def _tensors(where: str, state: Any, size: int) -> dict[str, np.ndarray]:
    """The arrays of a state dict out of a file of ``size`` bytes."""
    if not isinstance(state, dict):
        raise FormatError(f"{where}: holds a {kind_of(state)}, not tensors by name")
    items = {str(key): tensor_of(item) for key, item in state.items()}
    if len(items) != len(state):
        raise FormatError(f"{where}: two tensors have one name, once as text and once as a number")
    tensors = {key: tensor for key, tensor in items.items() if tensor is not None}
    if not tensors:
        some = ", ".join(key[:60] for key in list(items)[:8]) or "nothing"
        dicts = any(isinstance(item, dict) for item in state.values())
        way_out = "; if one leads to tensors, name it with --key (key=…)" if dicts else ""
        raise FormatError(f"{where}: no tensors found; its keys: {some}{way_out}")
    views = {key: view_of(tensor) for key, tensor in tensors.items()}
    for key, array in views.items():
        if array.nbytes > size:  # strides of 0 can make any size out of one number
            raise FormatError(
                f"{where}: {shown(key)} takes {array.nbytes} bytes of a file of {size}"
            )
    check_total(views, size, where)
    # Only now: what is to be negated takes memory.
    return {key: values_of(tensors[key], array) for key, array in views.items()}
