"""Dicts of arrays as NumPy, Caffe2, Detectron and detectron2 leave them."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import weight_port
from weight_port.formats import files

RANDOM = np.random.default_rng(8)


def drawn(*shape: int, dtype: str = "float32") -> np.ndarray:
    return RANDOM.normal(0, 50, shape).astype(dtype)


def of_python2(value: Any) -> bytes:
    """As Python 2's cPickle wrote it: text and bytes are one, SHORT_BINSTRING and BINSTRING."""

    class Pickler(pickle._Pickler):
        dispatch: ClassVar = dict(pickle._Pickler.dispatch)

        def save_text(self, text: str | bytes) -> None:
            data = text.encode() if isinstance(text, str) else text
            short = len(data) < 256
            head = bytes([len(data)]) if short else len(data).to_bytes(4, "little")
            self.write((pickle.SHORT_BINSTRING if short else pickle.BINSTRING) + head + data)
            self.memoize(text)

        dispatch[str] = dispatch[bytes] = save_text

    stream = io.BytesIO()
    Pickler(stream, 2, fix_imports=True).dump(value)
    return stream.getvalue()


def header(order: str = "False") -> bytes:
    text = f"{{'descr': '|O', 'fortran_order': {order}, 'shape': (), }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "uint16", "bool"])
def test_a_dict_that_numpy_saved(tmp_path, same_bits, dtype: str) -> None:
    tensors = {"conv0/W:0": drawn(3, 4, dtype=dtype), "n": drawn(dtype=dtype)}
    np.save(tmp_path / "x.npy", tensors, allow_pickle=True)
    same_bits(weight_port.read(tmp_path / "x.npy"), tensors)


def test_dicts_and_lists_of_arrays(tmp_path, same_bits) -> None:
    """caffe-tensorflow's layers, and the VGG-16 that many a tutorial loads."""
    one, two = drawn(3, 3, 3, 8), drawn(8)
    tree = {"conv1": {"weights": one, "biases": two}, "conv1_1": [one, two], "epoch": 3}
    np.save(tmp_path / "x.npy", tree, allow_pickle=True)
    contents = files.open_checkpoint(tmp_path / "x.npy").contents
    expected = {"conv1/weights": one, "conv1/biases": two, "conv1_1/0": one, "conv1_1/1": two}
    same_bits(contents.tensors, expected)
    assert contents.notes == ("left out 1 that are no tensors: 'epoch' (int)",)


def test_a_dict_that_numpy_of_python_2_saved(tmp_path, same_bits) -> None:
    tensors = {"a": drawn(300, 4), "b": drawn(2)}
    with io.BytesIO() as stream:
        np.save(stream, tensors, allow_pickle=True)
        assert stream.getvalue().startswith(header()[:60])
    cell = np.empty((), object)
    cell[()] = tensors
    (tmp_path / "x.npy").write_bytes(header() + of_python2(cell))
    same_bits(weight_port.read(tmp_path / "x.npy"), tensors)


@pytest.mark.parametrize("write", [of_python2, pickle.dumps], ids=["python2", "python3"])
def test_detectrons_blobs(tmp_path, same_bits, write) -> None:
    """``detectron/utils/net.py``, save_model_to_weights_file."""
    weights = {"conv1_w": drawn(64, 3, 7, 7), "res_conv1_bn_s": drawn(64), "pred_b": drawn(1000)}
    blobs = {**weights, "conv1_w_momentum": drawn(64, 3, 7, 7), "pred_b_momentum": drawn(1000)}
    path = tmp_path / "R-50.pkl"
    path.write_bytes(write({"blobs": blobs, "cfg": "MODEL: {}\n" * 40}))
    opened = files.open_checkpoint(path)
    same_bits(opened.contents.tensors, weights)
    assert opened.format.name == "pickle"
    assert opened.contents.notes == (
        "taken from 'blobs'",
        "left out beside 'blobs': 'cfg' (str)",
        "left out 2 blobs of the optimizer (…_momentum)",
    )


def test_detectron2s_model(tmp_path, fake, same_bits) -> None:
    """``{"model": arrays, "__author__": …}``, tools/convert-torchvision-to-d2.py."""
    tensors = fake("detectron2", "resnet50_v1")
    whole = {key: np.array(array) for key, array in tensors.items()}
    path = tmp_path / "r50.pkl"
    path.write_bytes(
        pickle.dumps({"model": whole, "__author__": "torchvision", "matching_heuristics": True})
    )
    same_bits(weight_port.read(path), tensors)
    assert weight_port.recognise(path).detection.dialect == "detectron2"


def test_of_several_dicts_the_one_that_is_asked_for(tmp_path, same_bits) -> None:
    one, two = {"w": drawn(3)}, {"w": drawn(3)}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"model": one, "second": two}))
    same_bits(weight_port.read(tmp_path / "x.pkl"), one)
    same_bits(weight_port.read(tmp_path / "x.pkl", key="second"), two)
    with pytest.raises(weight_port.FormatError, match=r"'third' .* is no key of a dict of tensors"):
        weight_port.read(tmp_path / "x.pkl", key="third")


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("suffix", [".pkl", ".pickle"])
def test_a_plain_dict_of_every_protocol(tmp_path, same_bits, suffix: str, protocol: int) -> None:
    tensors = {"w": drawn(30, 4), "h": drawn(4, dtype="uint16")}
    for kind in (dict, OrderedDict):
        path = tmp_path / f"x{suffix}"
        path.write_bytes(pickle.dumps(kind(tensors), protocol))
        same_bits(weight_port.read(path), tensors)


@pytest.mark.parametrize("new", [True, False])
def test_a_torch_checkpoint_of_that_name(tmp_path, same_bits, new: bool) -> None:
    state = {"w": torch.arange(6.0)}
    torch.save(state, tmp_path / "x.pkl", _use_new_zipfile_serialization=new)
    same_bits(weight_port.read(tmp_path / "x.pkl"), {"w": state["w"].numpy()})


class Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("true",)


def _npy(value: Any, path: Path) -> None:
    cell = np.empty((), object)
    cell[()] = value
    np.save(path, cell, allow_pickle=True)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"w": Attack()}, "system, which weights have no need of; refused, nothing was run"),
        ([np.zeros(3)], "holds a list, not arrays by name"),
        ({"epoch": 3}, r"no arrays by name in it; it holds 'epoch' \(int\)"),
        ({"w" * 2000: np.zeros(3)}, "a name of 2000 characters"),
    ],
)
def test_what_holds_no_weights(tmp_path, value, said: str) -> None:
    _npy(value, tmp_path / "x.npy")
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(value, 4))
    for name in ("x.npy", "x.pkl"):
        if isinstance(value, list) and name == "x.pkl":
            continue  # no dict, so no pickle of weights by its first bytes
        with pytest.raises(weight_port.FormatError, match=said):
            weight_port.read(tmp_path / name)


def test_an_array_alone_and_half_a_file(tmp_path) -> None:
    for array in (np.zeros(3), np.array([{"w": 1}, {}], object)):
        np.save(tmp_path / "x.npy", array, allow_pickle=True)
        with pytest.raises(weight_port.FormatError, match=r"one NumPy array, without names.*savez"):
            weight_port.read(tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", {"w": drawn(30, 30)}, allow_pickle=True)
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(weight_port.FormatError, match=r"truncated: 3600 bytes wanted"):
        weight_port.read(tmp_path / "x.npy")
