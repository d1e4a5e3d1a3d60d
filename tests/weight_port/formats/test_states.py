"""Several states, or other things, in one file: what was taken and what was left is said."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
import torch

import weight_port
from weight_port.formats.files import open_checkpoint
from weight_port.formats.states import KEYS


def small() -> dict[str, torch.Tensor]:
    return {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}


def other() -> dict[str, torch.Tensor]:
    return {key: value + 1 for key, value in small().items()}


def notes_of(path, value) -> str:
    torch.save(value, path)
    contents = open_checkpoint(path).contents
    assert np.array_equal(contents.tensors["a.weight"], small()["a.weight"].numpy())
    return "; ".join(contents.notes)


@pytest.mark.parametrize("key", [*KEYS, "generator", "my_own_key"])
def test_the_one_state_is_found_under_any_key(tmp_path, key: str) -> None:
    said = notes_of(tmp_path / "x.pth", {"step": 3, key: small()})
    assert f"taken from {key!r}" in said
    assert "'step' (int)" in said


@pytest.mark.parametrize(
    ("taken", "left"),
    [
        ("model", "model_ema"),
        ("state_dict", "ema"),
        ("net", "G"),
        ("model_state", "state_dict_ema"),
    ],
)
def test_the_state_that_is_left_is_said(tmp_path, taken: str, left: str) -> None:
    said = notes_of(tmp_path / "x.pth", {left: other(), taken: small(), "epoch": 1})
    assert f"taken from {taken!r}" in said
    assert f"{left!r} (2 tensors)" in said


def test_a_net_at_the_top_beside_one_under_net_is_said(tmp_path) -> None:
    said = notes_of(tmp_path / "x.pth", {**other(), "net": small()})
    assert "taken from 'net'" in said
    assert "'a.weight' (tensor)" in said


def test_a_state_in_a_state_is_found(tmp_path) -> None:
    said = notes_of(tmp_path / "x.pth", {"ema": {"module": small(), "updates": 5}})
    assert "taken from 'ema'; taken from 'module'; left out beside 'module': 'updates'" in said


@pytest.mark.parametrize("extra", [{"epoch": 3}, {"_extra_state": None}, {"args": {"lr": 0.1}}])
def test_what_is_no_tensor_beside_tensors_is_left_out_and_said(tmp_path, extra: dict) -> None:
    said = notes_of(tmp_path / "x.pth", {**small(), **extra})
    assert said.startswith(f"left out 1 that are no tensors: {next(iter(extra))!r}")


def test_two_states_under_unknown_keys_are_refused_by_name(tmp_path) -> None:
    torch.save({"G": small(), "D": other()}, tmp_path / "x.pth")
    with pytest.raises(weight_port.FormatError, match="no tensors found; its keys: G, D"):
        weight_port.read(tmp_path / "x.pth")


@pytest.mark.parametrize("key", [*KEYS, "my_own_key"])
def test_paddles_one_state_is_found_under_any_key_too(tmp_path, key: str) -> None:
    state = {k: paddle.to_tensor(v.numpy()) for k, v in small().items()}
    paddle.save({"step": 3, key: state}, str(tmp_path / "x.pdparams"))
    contents = open_checkpoint(tmp_path / "x.pdparams").contents
    assert np.array_equal(contents.tensors["a.weight"], small()["a.weight"].numpy())
    assert contents.notes == (f"taken from {key!r}", f"left out beside {key!r}: 'step' (int)")


def test_paddles_files_say_what_is_left(tmp_path) -> None:
    tensors = [{k: paddle.to_tensor(v.numpy()) for k, v in f().items()} for f in (small, other)]
    paddle.save({"model": tensors[0], "ema": tensors[1]}, str(tmp_path / "x.pdparams"))
    contents = open_checkpoint(tmp_path / "x.pdparams").contents
    assert "left out beside 'model': 'ema' (2 tensors)" in contents.notes
    assert contents.tensors["a.bias"].tolist() == [1, 1]


@pytest.mark.parametrize("prefix", ["model.", "net.", "encoder.", "resnet.", "module.model."])
def test_thops_counters_and_prefixes_are_taken_off_and_said(fake, same_bits, prefix: str) -> None:
    tensors = fake("torchvision", "resnet18")
    counters = {"total_ops": np.zeros(1), "layer1.0.total_params": np.zeros(1)}
    wrapped = {prefix + key: array for key, array in {**tensors, **counters}.items()}
    network = weight_port.recognise(wrapped)
    same_bits(network.tensors, tensors)
    assert network.notes == (
        "left out 1 × total_ops: thop's counts of operations",
        "left out 1 × total_params: thop's counts of parameters",
        f"prefix {prefix!r} taken off every name",
    )
