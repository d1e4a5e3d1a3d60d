"""Folders of Hugging Face's: one network in one file, in shards, in several formats, in a cache."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import weight_port
from weight_port.formats import files

Tensors = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def network(fake) -> Tensors:
    return fake("transformers", "resnet18")


def saved(path: Path, tensors: Tensors, legacy: bool = False) -> None:
    """As ``torch.save`` writes it."""
    state = {key: torch.from_numpy(np.array(array)) for key, array in tensors.items()}
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)


def shards(
    folder: Path, tensors: Tensors, stem: str = "pytorch_model", suffix: str = "bin"
) -> Path:
    """Three shards, one of them in torch's old format, and their index."""
    weight_map = {}
    for number in (1, 2, 3):
        keys = list(tensors)[number - 1 :: 3]
        name = f"{stem}-{number:05}-of-00003.{suffix}"
        saved(folder / name, {key: tensors[key] for key in keys}, legacy=number == 2)
        weight_map |= dict.fromkeys(keys, name)
    index = folder / f"{stem}.{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return index


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "config.json").write_text('{"model_type": "resnet"}')
    (tmp_path / "preprocessor_config.json").write_text("{}")
    return tmp_path


def test_a_bin_alone(folder, network, same_bits) -> None:
    saved(folder / "pytorch_model.bin", network)
    same_bits(weight_port.read(folder), network)
    same_bits(weight_port.read(folder / "pytorch_model.bin"), network)
    (folder / "config.json").unlink()
    same_bits(weight_port.read(folder), network)


@pytest.mark.parametrize(("stem", "suffix"), [("pytorch_model", "bin"), ("x", "pth"), ("y", "pt")])
def test_sharded_bin(folder, network, same_bits, stem: str, suffix: str) -> None:
    index = shards(folder, network, stem, suffix)
    same_bits(weight_port.read(index), network)
    same_bits(weight_port.read(folder), network)
    opened = files.open_checkpoint(index)
    assert (opened.format.name, opened.contents.notes) == ("pth-sharded", ("3 shards",))
    weight_port.convert_file(index, folder / "x.pdparams", "paddle_impl")
    ours = weight_port.convert(network, "paddle_impl")
    same_bits(weight_port.read(folder / "x.pdparams"), ours)


def test_of_several_files_the_one_that_transformers_takes(folder, network, same_bits) -> None:
    """A trainer's checkpoint has its own files beside them, which are no networks."""
    for name in ("optimizer.pt", "rng_state.pth", "training_args.bin"):
        saved(folder / name, {"w": np.zeros(3, np.float32)})
    saved(folder / "pytorch_model.bin", {key: array + 1 for key, array in network.items()})
    weight_port.write(folder / "model.safetensors", network)
    same_bits(weight_port.read(folder), network)
    assert files.open_checkpoint(folder).where == str(folder / "model.safetensors")
    (folder / "config.json").unlink()
    with pytest.raises(weight_port.FormatError, match=r"holds 4 checkpoints \(model.safetensors, "):
        weight_port.read(folder)


def test_shards_that_are_damaged_or_not_there(folder, network) -> None:
    index = shards(folder, network)
    second = folder / "pytorch_model-00002-of-00003.bin"
    whole = second.read_bytes()
    second.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(weight_port.FormatError, match=r"00002.*a git-LFS pointer"):
        weight_port.read(index)
    second.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(weight_port.FormatError, match=r"00002.*truncated"):
        weight_port.read(index)
    second.unlink()
    with pytest.raises(
        weight_port.FormatError, match=r"shard 'pytorch_model-00002.* no plain file"
    ):
        weight_port.read(folder)


def cached(folder: Path, names: dict[str, bytes], target: str = "../../blobs/{}") -> Path:
    """A repository in ``huggingface_hub``'s cache: links to files named by their digests."""
    snapshot, blobs = folder / "snapshots" / "f00", folder / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, (name, data) in enumerate(names.items()):
        (blobs / f"d{number}").write_bytes(data)
        (snapshot / name).symlink_to(target.format(f"d{number}"))
    return snapshot


def test_a_snapshot_in_the_cache(folder, network, same_bits) -> None:
    shards(folder, network)
    names = {path.name: path.read_bytes() for path in folder.iterdir()}
    snapshot = cached(folder / "models--me--net", names)
    same_bits(weight_port.read(snapshot), network)
    same_bits(weight_port.read(snapshot / "pytorch_model.bin.index.json"), network)


@pytest.mark.parametrize("target", ["../../../blobs/{}", "../../blobs/../secret", "../../blobs"])
def test_other_links_are_not_followed(folder, network, target: str) -> None:
    (folder / "blobs").mkdir()
    for place in (folder / "blobs" / "d0", folder / "secret"):
        saved(place, {"w": np.zeros(3, np.float32)})
    snapshot = cached(folder / "a", {"pytorch_model.bin": b"x"}, target)
    saved(folder / "a" / "secret", {"w": np.zeros(3, np.float32)})
    with pytest.raises(weight_port.FormatError, match=r"plain files only|empty folder"):
        weight_port.read(snapshot)
