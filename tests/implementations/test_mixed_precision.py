"""Checkpoints of several dtypes load in both frameworks, and no number changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import paddle
import pytest
import torch

import paddle_impl
import pytorch_impl
import weight_port
from parity import seeded

BOTH = [pytorch_impl, paddle_impl]
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
# (convolutions, batch norms, classifier) -> the model's
MIXED = {
    "apex O2": (("f2", "f4", "f2"), "float32"),
    "bfloat16": ((BFLOAT16, "f4", BFLOAT16), "float32"),
    "both halves": (("f2", BFLOAT16, "f2"), "float32"),
    "statistics first": (("f4", "f2", "f2"), "float32"),
    "float64 norms": (("f4", "f8", "f4"), "float64"),
}


def _mixed(dtypes: tuple[Any, Any, Any]) -> dict[str, np.ndarray]:
    tensors = seeded.draw("resnet18", 0, 4)
    conv, norm, linear = dtypes
    of = {4: conv, 1: norm, 2: linear}
    mixed = {key: array.astype(of[array.ndim]) for key, array in tensors.items()}
    variance = next(key for key in mixed if key.endswith("_variance"))
    if np.dtype(norm).itemsize > 2:  # more than float16 has
        mixed[variance][:] = 1e5
    return mixed


def _state(model: Any) -> dict[str, np.ndarray]:
    wide = {
        key: value.float() if value.dtype == torch.bfloat16 else value
        for key, value in model.state_dict().items()
    }
    return {key: np.array(value.detach().numpy(), np.float64) for key, value in wide.items()}


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("side", BOTH)
def test_the_widest_dtype_is_taken_and_no_number_changes(
    tmp_path: Path, side: Any, name: str
) -> None:
    dtypes, expected = MIXED[name]
    mixed = _mixed(dtypes)
    weight_port.write(tmp_path / "mixed.safetensors", mixed)
    model = side.load(tmp_path / "mixed.safetensors")
    state = model.state_dict()
    floats = {str(value.dtype).split(".")[-1] for value in state.values()} - {"int64"}
    assert floats == {expected}
    ours = weight_port.convert(mixed, side.__name__)
    for key, array in _state(model).items():
        assert np.array_equal(array, ours[key].astype(np.float64)), key


@pytest.mark.parametrize("dtype", ["f2", "f4", "i4"])
def test_counters_are_int64_whatever_the_file_holds(tmp_path: Path, dtype: str) -> None:
    model = pytorch_impl.resnet18(4)
    for key, value in model.state_dict().items():
        if key.endswith("num_batches_tracked"):
            value.fill_(2000)
    arrays = {key: value.numpy() for key, value in model.state_dict().items()}
    cast = {key: a.astype(dtype) if a.dtype == np.int64 else a for key, a in arrays.items()}
    weight_port.write(tmp_path / "x.pth", cast)
    loaded = pytorch_impl.load(tmp_path / "x.pth").state_dict()
    counters = [value for key, value in loaded.items() if key.endswith("num_batches_tracked")]
    assert counters
    assert all(value.dtype == torch.int64 and int(value) == 2000 for value in counters)


@pytest.mark.parametrize("side", BOTH)
def test_a_file_of_one_dtype_keeps_it(tmp_path: Path, side: Any) -> None:
    tensors = {key: array.astype("f2") for key, array in seeded.draw("resnet18", 0, 4).items()}
    weight_port.write(tmp_path / "half.safetensors", tensors)
    weight = next(iter(side.load(tmp_path / "half.safetensors").state_dict().values()))
    assert weight.dtype in (torch.float16, paddle.float16)
