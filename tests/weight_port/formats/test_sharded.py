"""Sharded safetensors: the index, and the files that it names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import weight_port
from weight_port.formats import files


def shards(folder: Path, tensors: dict[str, np.ndarray]) -> Path:
    """Two shards and their index, as huggingface_hub names them."""
    weight_map = {}
    for number, keys in enumerate((list(tensors)[::2], list(tensors)[1::2]), start=1):
        name = f"model-0000{number}-of-00002.safetensors"
        weight_port.write(folder / name, {key: tensors[key] for key in keys})
        weight_map |= dict.fromkeys(keys, name)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return index


def test_shards(tmp_path, fake, same_bits) -> None:
    tensors = fake("torchvision", "resnet18")
    index = shards(tmp_path, tensors)
    same_bits(weight_port.read(index), tensors)
    same_bits(weight_port.read(tmp_path), tensors)
    assert files.open_checkpoint(index).format.name == "safetensors-sharded"


def test_shards_that_are_not_all_there_are_an_error(tmp_path) -> None:
    tensors = {name: np.zeros(3) for name in "abcd"}
    index = shards(tmp_path, tensors)
    text = index.read_text()
    second = tmp_path / "model-00002-of-00002.safetensors"
    for change, said in (
        (text.replace('"b"', '"e"'), "holds 'b', which the index has not"),
        (text.replace('"b": "model-00002', '"b": "../model-00002'), "is no plain file beside it"),
        (text.replace("}}", ', "e": "model-00001-of-00002.safetensors"}}'), "'e' first"),
        ('{"weight_map": {"a": 3}}', "weight_map is not names to files"),
        ('{"weight_map": ', "no index of shards"),
    ):
        assert change != text
        index.write_text(change)
        with pytest.raises(weight_port.FormatError, match=said):
            weight_port.read(index)
    index.write_text(text)
    second.rename(tmp_path / "elsewhere")
    second.symlink_to("elsewhere")
    with pytest.raises(weight_port.FormatError, match="links are not followed"):
        weight_port.read(index)


def test_a_byte_order_mark_before_the_index(tmp_path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"")
    weight_port.write(tmp_path / "a.safetensors", {"w": np.zeros(3, np.float32)}, force=True)
    index = tmp_path / "model.safetensors.index.json"
    index.write_bytes(b"\xef\xbb\xbf" + b'{"weight_map": {"w": "a.safetensors"}}')
    assert list(weight_port.read(index)) == ["w"]
