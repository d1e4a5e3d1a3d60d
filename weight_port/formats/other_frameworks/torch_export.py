"""``.pt2``: what ``torch.export.save`` writes, a zip with the weights of an exported program.

Since torch 2.9 a raw file for each tensor and a JSON of their names, shapes and strides
(``torch/export/pt2_archive/_package.py``; dtypes: ``torch/_export/serde/schema.py``); in 2.8 one
``torch.save`` of the weights in ``data/weights``; before that ``serialized_state_dict.pt``.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from weight_port.errors import DAMAGE, FormatError, shown
from weight_port.formats import pth
from weight_port.formats.contents import Contents, Tensors, check_count, check_total
from weight_port.storage import json_data, zips
from weight_port.storage.buffers import BFLOAT16, MAX_DIMENSIONS, dtype_called
from weight_port.storage.scratch import Scratch
from weight_port.storage.sources import File, view_file

_WEIGHTS, _CONSTANTS = "data/weights/", "data/constants/"
_CONFIG = "_config.json"
_OLD_WEIGHTS = "serialized_state_dict.pt"
_STRIDED = 7  # schema.Layout
# schema.ScalarType
DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    10: "complex64",
    11: "complex128",
    12: "bool",
    13: BFLOAT16,
    28: "uint16",
    34: "uint32",
    35: "uint64",
}


class _Archive:
    """The members of one file by their names without the archive's own folder."""

    def __init__(self, file: File) -> None:
        self.where, self.data = file.where, file.load()
        self.members = zips.members(self.data, file.where)
        zips.check_sizes(self.members, len(self.data), file.where)
        packed = (m for m in self.members.values() if m.compress_type != zipfile.ZIP_STORED)
        self.room = sum(info.file_size for info in packed)

    def named(self, part: str) -> list[str]:
        """The members under a folder of the archive."""
        return [name for name in self.members if f"/{name}".find(f"/{part}") >= 0]

    def bytes_of(self, name: str, scratch: Scratch) -> memoryview:
        """A member's bytes: a view where it is stored, as torch does. Raises FormatError."""
        info = self.members[name]
        content = zips.inflated(self.data, info, self.where)
        return content if info.compress_type == zipfile.ZIP_STORED else scratch.put([content])


def read(file: File) -> Contents:
    """Every weight of an exported program by its name in the state dict. Raises FormatError."""
    try:
        archive = _Archive(file)
        if any(name.endswith("/data.pkl") for name in archive.members):
            return pth.read(file)  # what torch.save writes, under another's name
        with Scratch(archive.room) as scratch:
            return _read(archive, scratch)
    except DAMAGE as error:
        raise FormatError(f"{file.where}: damaged torch.export archive: {error!s:.200}") from None


def _read(archive: _Archive, scratch: Scratch) -> Contents:
    configs = [name for name in archive.named(_WEIGHTS) if name.endswith(_CONFIG)]
    saved = [n for n in archive.named(_WEIGHTS) if n.endswith(".pt")] or archive.named(_OLD_WEIGHTS)
    if len(configs) > 1 or len(saved) > 1:
        some = ", ".join(shown(name) for name in (*configs, *saved)[:4])
        raise FormatError(f"{archive.where}: holds several models ({some}); export one to a file")
    constants = sum(not name.endswith(_CONFIG) for name in archive.named(_CONSTANTS))
    note = (f"left out {constants} constants and buffers that no state dict has",) * bool(constants)
    if configs:
        return Contents(_configured(archive, configs[0], scratch), note)
    if saved:
        inner = archive.bytes_of(saved[0], scratch)
        contents = pth.read(view_file(f"{archive.where}/{saved[0]}", saved[0], inner, {}))
        return Contents(contents.tensors, (*contents.notes, *note))
    raise FormatError(
        f"{archive.where}: an archive of torch.export without weights in it (a compiled model has "
        "them in its library); save the exported program's state_dict instead"
    )


def _configured(archive: _Archive, config: str, scratch: Scratch) -> Tensors:
    """The tensors that a configuration names, each in a file of its own."""
    size = len(archive.data)
    root = config[: config.rindex("/") + 1]
    table = json_data.load(archive.bytes_of(config, scratch), size)["config"]
    order = f"{root[: -len(_WEIGHTS)]}byteorder"
    if order in archive.members and bytes(archive.bytes_of(order, scratch)[:6]) != b"little":
        raise ValueError("written on a big-endian machine; save it again elsewhere")
    tensors: Tensors = {}
    for name, entry in table.items():
        if entry["use_pickle"]:
            raise ValueError(f"{shown(name)} is an object of a class, not a plain tensor")
        raw = archive.bytes_of(root + entry["path_name"], scratch)
        tensors[name] = _tensor(name, entry["tensor_meta"], raw)
        check_count(len(tensors), size, archive.where)
    if not tensors:
        raise FormatError(f"{archive.where}: an exported program without weights")
    check_total(tensors, size, archive.where)
    return tensors


def _tensor(name: str, meta: Mapping[str, Any], raw: memoryview) -> np.ndarray:
    """A tensor over its storage's bytes; raises ValueError where it would reach past them."""
    if meta["dtype"] not in DTYPES or meta["layout"] != _STRIDED:
        raise ValueError(f"{shown(name)}: a tensor of dtype {meta['dtype']} or layout, not read")
    dtype = dtype_called(DTYPES[meta["dtype"]])
    shape = tuple(size["as_int"] for size in meta["sizes"])
    strides = tuple(stride["as_int"] for stride in meta["strides"])
    offset = meta["storage_offset"]["as_int"]
    numbers = (offset, *shape, *strides)
    if any(not isinstance(n, int) or n < 0 for n in numbers) or len(shape) != len(strides):
        raise ValueError(f"{shown(name)}: negative sizes, or other than whole numbers")
    if len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"a shape of {len(shape)} dimensions")
    if 0 in shape:
        return np.empty(shape, dtype)
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if last >= len(raw) // dtype.itemsize:
        raise ValueError(f"{shown(name)}: element {last} of {len(raw) // dtype.itemsize}")
    return np.ndarray(
        shape, dtype, raw, offset * dtype.itemsize, [stride * dtype.itemsize for stride in strides]
    )
