"""Sharded safetensors: the index, and the files that it names."""

from __future__ import annotations

import json
import os
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


IMPOSSIBLE = {
    "too long": "a" * 300,
    "too long in bytes": "é" * 200,
    "far too long": "a" * 100_000,
    "NUL": "a\0.safetensors",
    "NUL alone": "\0",
    "empty": "",
    "absolute": "/etc/passwd",
    "here": ".",
    "above": "..",
    "a file above": "../a.safetensors",
    "a file below": "below/a.safetensors",
    "with a point before it": "./a.safetensors",
    "of Windows": "..\\a.safetensors",
    "half a character": "\ud800.safetensors",
    "half a character alone": "\udc80",
    "a folder": "below",
    "a link": "link.safetensors",
    "a pipe": "pipe.safetensors",
    "not there": "b.safetensors",
    "a newline": "a\n.safetensors",
    "an escape": "\x1b[2J.safetensors",
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_shards_impossible_name_is_an_error_of_the_index(tmp_path, name: str) -> None:
    tensors = {"w": np.zeros(3, np.float32)}
    (tmp_path / "net" / "below").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "net", tmp_path / "net" / "below"):
        weight_port.write(folder / "a.safetensors", tensors)
    (tmp_path / "net" / "link.safetensors").symlink_to("a.safetensors")
    os.mkfifo(tmp_path / "net" / "pipe.safetensors")
    index = tmp_path / "net" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"w": IMPOSSIBLE[name]}}))
    with pytest.raises(weight_port.FormatError, match="is no plain file beside it") as raised:
        weight_port.read(index)
    assert str(raised.value).startswith(f"{index}: its shard ")
    assert len(str(raised.value)) < 500 + len(str(index))
    assert str(raised.value).isprintable()


def test_an_index_that_names_itself_is_an_error(tmp_path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"w": index.name}}))
    with pytest.raises(weight_port.FormatError, match="a shard that is safetensors-sharded"):
        weight_port.read(index)


@pytest.mark.parametrize(
    "name", ["a" * 300, "a\0b", "\ud800", "a" * 300 + "/b", "a\0/b", "a" * 5000]
)
def test_a_path_that_no_system_has_is_an_error(tmp_path, name: str) -> None:
    for source in (tmp_path / name, tmp_path / "none" / name):
        with pytest.raises(weight_port.FormatError):
            weight_port.read(source)
        with pytest.raises(weight_port.WeightPortError):
            weight_port.convert_file(source, tmp_path / "x.npz", "raw")
    weight_port.write(tmp_path / "y.npz", {"w": np.zeros(3)}, force=True)
    with pytest.raises(weight_port.WeightPortError):
        weight_port.convert_file(tmp_path / "y.npz", tmp_path / f"{name}.npz", "raw")


def test_the_longest_name_of_a_combined_file_has_no_neighbours(tmp_path) -> None:
    """The system has no room for ``.info`` behind it: that file can't be there, and no error."""
    path = tmp_path / ("a" * 245 + ".pdiparams")
    weight_port.write(path, {"w": np.zeros(3, np.float32)})
    assert list(weight_port.read(path)) == [path.name]
