"""Numbers that no trained network has: counted, said, and never folded into others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import weight_port
from weight_port import cli
from weight_port.conversion import numbers

DTYPES = ["f2", "f4", "f8", ml_dtypes.bfloat16, "c8", "c16"]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (600, 500)])
@pytest.mark.parametrize("order", ["C", "F", "strided"])
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
def test_one_number_anywhere_is_found(dtype, shape, order: str, value: float) -> None:
    array = np.random.default_rng(0).uniform(-1, 1, shape).astype(dtype)
    if order == "F":
        array = np.asfortranarray(array)
    elif order == "strided" and shape:
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    assert numbers.is_finite(array)
    assert numbers.faults({"w": array}) == numbers.Faults()
    array[tuple(size - 1 for size in shape)] = value
    assert not numbers.is_finite(array)
    found = numbers.faults({"v": np.ones(2), "w": array})
    assert (found.nans, found.infinities) == ((1, 0) if value != value else (0, 1))
    assert found.not_finite == ("w",)


def test_the_largest_and_smallest_numbers_are_finite() -> None:
    for dtype in ("f2", "f4", "f8"):
        info = np.finfo(dtype)
        edges = [info.max, info.min, info.tiny, info.smallest_subnormal, -0.0]
        assert numbers.is_finite(np.array(edges, dtype))
    bfloat16 = ml_dtypes.finfo(ml_dtypes.bfloat16)
    assert numbers.is_finite(np.array([bfloat16.max, bfloat16.min, -0.0], ml_dtypes.bfloat16))
    for dtype in ("i8", "u1", "?"):
        assert numbers.is_finite(np.ones(3, dtype))


def planted(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A torchvision network with two NaNs, an infinity and three variances below 0."""
    changed = {key: array.copy() for key, array in tensors.items()}
    changed["conv1.weight"].reshape(-1)[[3, 7]] = np.nan
    changed["fc.bias"][1] = -np.inf
    changed["layer1.0.bn1.running_var"][:2] = -1e-3
    changed["layer2.0.bn2.running_var"][5] = -1
    return changed


def inspected(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert cli.main(["inspect", str(path), *options]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".pth", ".pdparams", ".npz", ".safetensors"])
def test_inspect_counts_them(tmp_path, capsys, fake, suffix: str) -> None:
    path, sound = tmp_path / f"x{suffix}", tmp_path / f"y{suffix}"
    weight_port.write(path, planted(fake("torchvision", "resnet18")))
    weight_port.write(sound, fake("torchvision", "resnet18"))
    out = inspected(path, capsys)
    assert (
        "unsound       2 of its numbers are NaN and 1 infinite, in 2 tensors: 'conv1.weight', "
        "'fc.bias'" in out
    )
    assert (
        "unsound       3 variances are below 0, in 2 tensors: 'layer1.0.bn1.running_var', "
        "'layer2.0.bn2.running_var'" in out
    )
    faults = json.loads(inspected(path, capsys, "--json"))["faults"]
    assert (faults["nans"], faults["infinities"], faults["negative"]) == (2, 1, 3)
    assert faults["not_finite"] == ["conv1.weight", "fc.bias"]
    assert "unsound" not in inspected(sound, capsys)
    assert json.loads(inspected(sound, capsys, "--json"))["unsound"] == []


def test_inspect_counts_them_in_a_file_of_no_network(tmp_path, capsys) -> None:
    weight_port.write(tmp_path / "x.npz", {"a": np.array([1, np.nan]), "b": np.ones(3)})
    assert "1 of its numbers are NaN and 0 infinite, in 1 tensor: 'a'" in inspected(
        tmp_path / "x.npz", capsys
    )


@pytest.mark.parametrize("to", ["paddle.vision", "timm", "raw"])
def test_convert_notes_them_and_keeps_them(tmp_path, fake, to: str) -> None:
    weight_port.write(tmp_path / "x.npz", planted(fake("torchvision", "resnet18")))
    done = weight_port.convert_file(tmp_path / "x.npz", tmp_path / "y.npz", to)
    said = "; ".join(done.notes)
    assert "2 of its numbers are NaN and 1 infinite" in said
    assert ("3 variances are below 0" in said) == (to != "raw")
    written = weight_port.read(tmp_path / "y.npz")
    assert sum(int(np.isnan(array).sum()) for array in written.values()) == 2
    weight_port.write(tmp_path / "s.npz", fake("torchvision", "resnet18"))
    done = weight_port.convert_file(tmp_path / "s.npz", tmp_path / "t.npz", to)
    assert "NaN" not in "; ".join(done.notes)


SCALE, VARIANCE, MEAN = (f"bn_conv1/{name}" for name in ("gamma", "moving_variance", "moving_mean"))
FOLDED: dict[str, tuple[str, Callable[[dict[str, np.ndarray]], None], str]] = {
    "a variance that makes NaN": (
        "f4", lambda t: t[VARIANCE].fill(-5e-4), "would not be finite in float32"),
    "a variance below 0 alone": (
        "f4", lambda t: t[VARIANCE].fill(-1e-6), "64 variances are below 0"),
    "NaN in a mean": ("f4", lambda t: t[MEAN].fill(np.nan), "64 of its numbers are NaN"),
    "infinity in a scale": ("f4", lambda t: t[SCALE].fill(np.inf), "64 infinite"),
    "NaN in a variance": ("f8", lambda t: t[VARIANCE].fill(np.nan), "finite in float64"),
    "infinity in a convolution": (
        "f4", lambda t: t["conv1/kernel"].fill(-np.inf), "and 9408 infinite"),
    "NaN in a bias": ("f4", lambda t: t["conv1/bias"].fill(np.nan), "finite in float32"),
    "a mean that overflows": (
        "f2", lambda t: (t[MEAN].fill(60000), t["conv1/bias"].fill(-60000)),
        "finite in float16"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDED)
def test_fold_refuses_what_is_not_sound(fake, name: str) -> None:
    dtype, change, said = FOLDED[name]
    tensors = {
        key: array.astype(dtype) for key, array in fake("keras-first", "resnet50_keras").items()
    }
    assert weight_port.convert(tensors, "torchvision", fold=True, allow_mismatch=True)
    change(tensors)
    with pytest.raises(weight_port.MismatchError, match=said):
        weight_port.convert(tensors, "torchvision", fold=True, allow_mismatch=True)


def test_fold_refuses_a_scale_that_another_epsilon_makes_infinite(fake) -> None:
    """From 1e-5 to Keras's 1e-3, a variance of 0 makes the scale ten times as large."""
    made = fake("pytorch_impl", "resnet50_keras")
    tensors = {k: np.minimum(a, 100).astype("f2") for k, a in made.items()}
    fold = {"fold": True, "architecture": "resnet50_keras"}
    assert weight_port.convert(tensors, "keras-first", **fold)
    scale = next(key for key in tensors if key.endswith("bn.weight"))
    tensors[scale].fill(7000)
    tensors[scale.replace("weight", "running_var")].fill(0)
    with pytest.raises(weight_port.MismatchError, match="would not be finite in float16"):
        weight_port.convert(tensors, "keras-first", **fold)


def test_caffes_factor_that_makes_infinities_is_refused_without_fold_too(fake) -> None:
    tensors = {key: array.copy() for key, array in fake("caffe", "resnet50_caffe").items()}
    factor = next(key for key, array in tensors.items() if array.shape == (1,))
    assert weight_port.convert(tensors, "torchvision", allow_mismatch=True)
    tensors[factor][:] = 1e-42
    with pytest.raises(weight_port.MismatchError, match="would not be finite in float32"):
        weight_port.convert(tensors, "torchvision", allow_mismatch=True)
