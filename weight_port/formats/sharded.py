"""Sharded checkpoints: ``model.safetensors.index.json`` or ``pytorch_model.bin.index.json``.

https://huggingface.co/docs/safetensors and ``huggingface_hub``'s ``_base.py``: a JSON object whose
``weight_map`` leads from each tensor to the file that holds it, in the same folder. The files are
safetensors or what ``torch.save`` writes.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from weight_port.errors import FormatError, shown
from weight_port.formats import table
from weight_port.formats.contents import Contents, Tensors
from weight_port.formats.locate import file_format
from weight_port.storage import json_data
from weight_port.storage.sources import File

# The formats of shards, and the modules that read them, loaded when one is met.
_READERS = {table.SAFETENSORS: "safetensors", table.PTH: "pth"}


def read(file: File) -> Contents:
    """Every tensor of every shard. Raises FormatError where a shard or a tensor is missing."""
    tensors: Tensors = {}
    weight_map = _weight_map(file)
    for name in sorted(set(weight_map.values())):
        shard = file.beside(name) if _is_plain_name(name) else None
        if shard is None:
            raise FormatError(
                f"{file.where}: its shard {shown(name)} is no plain file beside it (links are not "
                "followed); put the file itself there"
            )
        tensors |= _of_shard(shard, name, weight_map)
    missing = [name for name in weight_map if name not in tensors]
    if missing:
        raise FormatError(
            f"{file.where}: {len(missing)} tensors are in no shard, {shown(missing[0])} first; "
            "get the shards again"
        )
    return Contents(tensors, (f"{len(set(weight_map.values()))} shards",))


def _of_shard(shard: File, name: str, weight_map: dict[str, str]) -> Tensors:
    """A shard's tensors, all of which the index leads to it for. Raises FormatError."""
    row = file_format(shard)
    if row not in _READERS:
        raise FormatError(f"{shard.where}: a shard that is {row.name}; get it again")
    reader = import_module(f"weight_port.formats.{_READERS[row]}")
    tensors: Tensors = reader.read(shard).tensors
    for key in tensors:
        if weight_map.get(key) != name:
            raise FormatError(f"{shard.where}: holds {shown(key)}, which the index has not")
    return tensors


def _weight_map(file: File) -> dict[str, str]:
    try:
        data = file.load()
        index: Any = json_data.load(data, len(data))
        weight_map = index["weight_map"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise FormatError(f"{file.where}: no index of shards: {error!r:.200}") from None
    if not isinstance(weight_map, dict) or any(not isinstance(v, str) for v in weight_map.values()):
        raise FormatError(f"{file.where}: no index of shards: weight_map is not names to files")
    return weight_map


def _is_plain_name(name: str) -> bool:
    return name not in ("", ".", "..") and not any(c in name for c in "/\\\0")
