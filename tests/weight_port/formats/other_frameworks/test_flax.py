"""Flax's files, written by the package msgpack as ``flax.serialization`` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import msgpack
import numpy as np
import pytest

import weight_port
from weight_port.formats import files
from weight_port.formats.other_frameworks.flax import DTYPES

RANDOM = np.random.default_rng(6)


def _array_bytes(array: np.ndarray) -> bytes:
    """``_ndarray_to_bytes``."""
    return msgpack.packb((array.shape, array.dtype.name, array.tobytes("C")), use_bin_type=True)


def _extension(value: Any) -> msgpack.ExtType:
    """``_msgpack_ext_pack``."""
    if isinstance(value, np.ndarray):
        return msgpack.ExtType(1, _array_bytes(value))
    if isinstance(value, np.generic):
        return msgpack.ExtType(3, _array_bytes(np.asarray(value)))
    assert isinstance(value, complex)
    return msgpack.ExtType(2, msgpack.packb((value.real, value.imag)))


def _chunked(array: np.ndarray, size: int) -> dict[str, Any]:
    """``_chunk``, with chunks of ``size`` elements instead of 2**30 bytes."""
    flat = array.reshape(-1)
    chunks = [flat[at : at + size] for at in range(0, len(flat), size)]
    return {
        "__msgpack_chunked_array__": True,
        "shape": {str(n): size for n, size in enumerate(array.shape)},
        "chunks": {str(n): chunk for n, chunk in enumerate(chunks)},
    }


def saved(path: Path, tree: Any) -> Path:
    path.write_bytes(msgpack.packb(tree, default=_extension, strict_types=True))
    return path


def drawn(name: str, shape: tuple[int, ...] = (3, 4)) -> np.ndarray:
    numbers = RANDOM.normal(0, 50, shape)
    unsigned = np.abs(numbers) if name.startswith("u") else numbers
    return unsigned.astype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype(tmp_path, same_bits, name: str) -> None:
    tree = {"a": drawn(name), "b": {"c": drawn(name, ()), "d": drawn(name, (0, 2))}}
    read = weight_port.read(saved(tmp_path / "x.msgpack", tree))
    same_bits(read, {"a": tree["a"], "b/c": tree["b"]["c"], "b/d": tree["b"]["d"]})


def test_a_train_state_of_flax_examples(tmp_path, same_bits) -> None:
    """``step``, ``params``, ``opt_state`` and ``batch_stats`` of examples/imagenet/train.py."""
    kernel = drawn("float32", (7, 7, 3, 64))
    tree = {
        "step": 90_000,
        "params": {"conv_init": {"kernel": kernel}, "Dense_0": {"bias": drawn("float32", (9,))}},
        "opt_state": {"0": {"trace": {"w": drawn("float32", (5,))}}, "1": {}},
        "batch_stats": {"bn_init": {"mean": drawn("float32", (64,)), "n": np.float32(3)}},
        "dynamic_scale": None,
        "z": 1j,
    }
    contents = files.open_checkpoint(saved(tmp_path / "checkpoint.msgpack", tree)).contents
    assert {"params/conv_init/kernel", "batch_stats/bn_init/mean", "batch_stats/bn_init/n"} <= set(
        contents.tensors
    )
    same_bits({"k": contents.tensors["params/conv_init/kernel"]}, {"k": kernel})
    (note,) = contents.notes
    assert note.startswith("left out 3 that are no tensors: 'step' (int), 'dynamic_scale' (N")


def test_large_arrays_in_chunks(tmp_path, same_bits) -> None:
    array, half = drawn("float32", (50, 70)), drawn("bfloat16", (40, 3))
    tree = {"params": {"a": _chunked(array, 999), "b": _chunked(half, 120)}}
    same_bits(
        weight_port.read(saved(tmp_path / "x.msgpack", tree)), {"params/a": array, "params/b": half}
    )


def test_arrays_are_views_of_the_file(tmp_path) -> None:
    path = saved(tmp_path / "x.msgpack", {"w": drawn("float32", (300, 300))})
    array = weight_port.read(path)["w"]
    assert not array.flags.owndata
    assert not array.flags.writeable


def test_many_and_long_things(tmp_path, same_bits) -> None:
    """Dicts and texts of every length's code."""
    tree = {f"{n}{'x' * (n % 400)}": np.full(n % 3, n) for n in range(300)}
    same_bits(weight_port.read(saved(tmp_path / "x.msgpack", tree)), tree)
    few = {f"{n}": np.full(3, n) for n in range(16)}
    same_bits(weight_port.read(saved(tmp_path / "x.msgpack", few)), few)


CHUNKS = _chunked(np.arange(9.0), 4)


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"a": 3, "b": "text"}, "MessagePack without arrays as Flax writes them"),
        ({"a": {1: np.zeros(3)}}, "a key that is no short text"),
        ({"a": msgpack.ExtType(1, msgpack.packb([[3], "float32", bytes(8)]))}, "in 8 bytes"),
        ({"a": msgpack.ExtType(1, msgpack.packb([[3], "object", bytes(8)]))}, "of dtype 'object'"),
        ({"a": msgpack.ExtType(1, b"\xc1")}, "code 0xc1"),
        ({"a": {**CHUNKS, "shape": {"0": 8}}}, "damaged Flax file: shape"),
        ({"a": {**CHUNKS, "chunks": {}}}, "chunks of no array"),
        ({"a": {**CHUNKS, "chunks": {"0": 3}}}, "chunks of no array"),
        ({"a": {**CHUNKS, "chunks": {"1": np.zeros(9)}}}, "damaged Flax file"),
        ({"x" * 5000: 3}, "a key that is no short text"),
    ],
)
def test_what_is_damaged(tmp_path, tree, said: str) -> None:
    with pytest.raises(weight_port.FormatError, match=said):
        weight_port.read(saved(tmp_path / "x.msgpack", tree))


def test_a_truncated_file_and_more_behind_it(tmp_path) -> None:
    path = saved(tmp_path / "x.msgpack", {"w": drawn("float32", (300, 300))})
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000])
    with pytest.raises(weight_port.FormatError, match="at least 1000 bytes are missing"):
        weight_port.read(path)
    path.write_bytes(whole + b"12")
    with pytest.raises(weight_port.FormatError, match="2 bytes behind its end"):
        weight_port.read(path)
