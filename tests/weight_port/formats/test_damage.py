"""What transfers and downloads do to files, told apart from malice, in every format."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import msgpack
import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

import weight_port
from tests.weight_port.formats.other_frameworks import test_caffe
from weight_port.formats import damage

RANDOM = np.random.default_rng(11)
# Two megabytes of numbers as weights are: every byte's value is in it thousands of times.
WEIGHTS = {f"layer{n}.weight": RANDOM.normal(0, 1, (300, 300)).astype(np.float32) for n in range(5)}


def torch_saved(path: Path, new: bool = True) -> None:
    state = {key: torch.from_numpy(array) for key, array in WEIGHTS.items()}
    torch.save(state, path, _use_new_zipfile_serialization=new)


def hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for key, array in WEIGHTS.items():
            file[key] = array


def onnx_model(path: Path) -> None:
    protos = [numpy_helper.from_array(array, key) for key, array in WEIGHTS.items()]
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [], protos)), path)


def flax(path: Path) -> None:
    def array(value: np.ndarray) -> msgpack.ExtType:
        packed = msgpack.packb((value.shape, "float32", value.tobytes()))
        return msgpack.ExtType(1, packed)

    path.write_bytes(msgpack.packb(WEIGHTS, default=array))


def ours(path: Path) -> None:
    weight_port.write(path, WEIGHTS)


FORMATS: dict[str, Callable[[Path], Any]] = {
    "x.pth": torch_saved,
    "old.pth": lambda path: torch_saved(path, new=False),
    "x.safetensors": ours,
    "x.npz": ours,
    "packed.npz": lambda path: np.savez_compressed(path, **WEIGHTS),
    "x.pdparams": ours,
    "2.pdparams": lambda path: path.write_bytes(pickle.dumps(WEIGHTS, 2)),
    "x.pdiparams": ours,
    "x.h5": hdf5,
    "x.onnx": onnx_model,
    "x.caffemodel": lambda path: test_caffe.saved(
        path, [(key, "InnerProduct", [array]) for key, array in WEIGHTS.items()]
    ),
    "x.msgpack": flax,
    "x.pkl": lambda path: path.write_bytes(pickle.dumps(WEIGHTS, 5)),
    "x.npy": lambda path: np.save(path, WEIGHTS, allow_pickle=True),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("sound")
    for name, write in FORMATS.items():
        write(folder / name)
    return {name: (folder / name).read_bytes() for name in FORMATS}


def refusal(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(weight_port.FormatError) as caught:
        weight_port.read(path)
    assert not isinstance(caught.value, weight_port.UnsafeFileError)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


@pytest.mark.parametrize("name", FORMATS)
def test_a_cr_before_every_lf(tmp_path, written, name: str) -> None:
    """FTP in ASCII mode, git's autocrlf, a file opened as text on Windows."""
    said = refusal(tmp_path / name, written[name].replace(b"\n", b"\r\n"))
    assert "transferred as text: " in said
    assert "in binary mode" in said


@pytest.mark.parametrize("name", FORMATS)
def test_no_cr_before_any_lf(tmp_path, written, name: str) -> None:
    """dos2unix, git's normalisation of line ends, FTP from Windows in ASCII mode."""
    damaged = written[name].replace(b"\r\n", b"\n")
    assert len(damaged) < len(written[name])
    said = refusal(tmp_path / name, damaged)
    assert "transferred as text: " in said


# Pickle protocol 2 spells bytes in UTF-8: but for its first byte it is text already.
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "2.pdparams"])
def test_bytes_that_are_no_text_replaced(tmp_path, written, name: str) -> None:
    """An editor, or a program that read it as text and left out no error."""
    said = refusal(tmp_path / name, written[name].decode("utf-8", "replace").encode())
    assert "of its bytes were replaced by U+FFFD, for good" in said


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("name", FORMATS)
def test_half_a_download(tmp_path, written, name: str, share: float) -> None:
    whole = written[name]
    said = refusal(tmp_path / name, whole[: int(share * len(whole))])
    assert "truncated" in said
    assert "again" in said


def test_how_much_of_a_zip_is_missing(tmp_path, written) -> None:
    """NumPy's headers have the members' sizes."""
    whole = written["x.npz"]
    size = next(iter(WEIGHTS.values())).nbytes
    for half in (size // 2, size + size // 2):
        said = refusal(tmp_path / "x.npz", whole[:half])
        missing = int(said.partition("at least ")[2].partition(" bytes")[0])
        assert abs(missing - size // 2) < 1000  # the headers


HEADS = {
    "a git-LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
    "a web page": b"\r\n<!DOCTYPE html>\r\n<html><head></head></html>\r\n",
    'JSON, \'{"error":"Repository not found"}\'': b'{"error":"Repository not found"}',
    'JSON, \'{"code":{"message":"x"}}\'': b'{"code":{"message":"x"}}',
    "an XML page": b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    "compressed by lz4": b"\x04\x22M\x18" + bytes(20),
    "compressed by zstd": b"(\xb5/\xfd" + bytes(20),
    "compressed by gzip": gzip.compress(b"x"),
    "a 7z archive": b"7z\xbc\xaf'\x1c" + bytes(20),
    "a RAR archive": b"Rar!\x1a\x07\0" + bytes(20),
}


@pytest.mark.parametrize("said", HEADS)
@pytest.mark.parametrize("name", FORMATS)
def test_what_stands_in_a_files_place(tmp_path, name: str, said: str) -> None:
    assert said in refusal(tmp_path / name, HEADS[said])


def test_an_attack_stays_one_in_a_damaged_file(tmp_path) -> None:
    """Its line ends say nothing of what it asks for."""
    attack = b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R." + b"\r\n" * 99
    (tmp_path / "x.pdparams").write_bytes(attack)
    with pytest.raises(weight_port.UnsafeFileError, match=r"asks for os\.system"):
        weight_port.read(tmp_path / "x.pdparams")


@pytest.mark.parametrize("name", FORMATS)
def test_other_damage_is_not_called_text(tmp_path, written, name: str) -> None:
    """Of a sound file nothing is said, and of one with other bytes in its head neither."""
    assert damage.of(memoryview(written[name])) == ""
    data = bytearray(written[name])
    data[4:200] = bytes(reversed(data[4:200]))
    (tmp_path / name).write_bytes(data)
    with pytest.raises(weight_port.WeightPortError) as caught:
        weight_port.read(tmp_path / name)
    assert "transferred as text" not in str(caught.value)


def as_bfloat16(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array).to(torch.bfloat16)


LINES = b"a line\nanother \xe4\n" * 40_000
# Kinds of numbers whose bytes don't fall together by chance: sign and exponent stand apart.
NUMBERS = {
    "bfloat16": as_bfloat16,
    "bfloat16 kept as float32": lambda array: as_bfloat16(array).float(),
    "float16": lambda array: torch.from_numpy(array).half(),
    "float32": torch.from_numpy,
    "text in bytes": lambda array: torch.frombuffer(
        bytearray(b"a line\nanother \xe4\n" * 40_000), dtype=torch.uint8
    ),
    "whole numbers": lambda array: torch.arange(1_000_000),
    "zeros": lambda array: torch.zeros(1_000_000),
}


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("kind", NUMBERS)
def test_a_sound_file_that_is_refused_is_not_called_text(tmp_path, kind: str, new: bool) -> None:
    """What the reader can't have is said, and nothing of line ends."""
    numbers = NUMBERS[kind](RANDOM.normal(0, 1, 4_000_000).astype(np.float32))
    state = {"w": numbers, "sparse": torch.eye(3).to_sparse()}
    torch.save(state, tmp_path / "x.pth", _use_new_zipfile_serialization=new)
    with pytest.raises(weight_port.WeightPortError, match="sparse") as caught:
        weight_port.read(tmp_path / "x.pth")
    assert "text" not in str(caught.value)


@pytest.mark.parametrize("kind", ["bfloat16", "float32"])
def test_a_broken_download_is_said_to_be_one(tmp_path, kind: str) -> None:
    numbers = NUMBERS[kind](RANDOM.normal(0, 1, 4_000_000).astype(np.float32))
    torch.save({"w": numbers}, tmp_path / "x.pth")
    whole = (tmp_path / "x.pth").read_bytes()
    said = refusal(tmp_path / "x.pth", whole[: len(whole) * 2 // 3])
    assert "truncated" in said
    assert "text" not in said


@pytest.mark.parametrize("name", ["a.pth", "a.pdparams", "a.txt", "a.py"])
def test_a_text_with_the_line_ends_of_windows_is_no_damaged_checkpoint(tmp_path, name: str) -> None:
    said = refusal(tmp_path / name, b"name: resnet50\r\nlr: 0.1\r\nepochs: 90\r\n")
    assert "transferred as text" not in said
    assert "its first bytes are those of none of" in said
