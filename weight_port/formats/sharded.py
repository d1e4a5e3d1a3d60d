"""Sharded safetensors: ``model.safetensors.index.json`` and the files that it names.

https://huggingface.co/docs/safetensors and ``huggingface_hub``'s ``_base.py``: a JSON object whose
``weight_map`` leads from each tensor to the file that holds it, in the same folder.
"""

from __future__ import annotations

from typing import Any

from weight_port.errors import FormatError, shown
from weight_port.formats import safetensors
from weight_port.formats.contents import Contents
from weight_port.storage import json_data
from weight_port.storage.sources import File


def read(file: File) -> Contents:
    """Every tensor of every shard. Raises FormatError where a shard or a tensor is missing."""
    tensors = {}
    weight_map = _weight_map(file)
    for shard in sorted(set(weight_map.values())):
        plain = file.beside(shard) if _is_plain_name(shard) else None
        if plain is None:
            raise FormatError(
                f"{file.where}: its shard {shown(shard)} is no plain file beside it (links are not "
                "followed); put the file itself there"
            )
        for name, array in safetensors.read(plain).tensors.items():
            if weight_map.get(name) != shard:
                raise FormatError(f"{plain.where}: holds {shown(name)}, which the index has not")
            tensors[name] = array
    missing = [name for name in weight_map if name not in tensors]
    if missing:
        raise FormatError(
            f"{file.where}: {len(missing)} tensors are in no shard, {shown(missing[0])} first; "
            "get the shards again"
        )
    return Contents(tensors, (f"{len(set(weight_map.values()))} shards",))


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
