"""New heads on old backbones: what ``load(num_classes=…)`` and ``freeze`` leave and change."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
import torch
import torch.nn.functional as F

import paddle_impl
import pytorch_impl
import weight_port
from parity import seeded
from tests.helpers.bounds import excess

BOTH = [pytorch_impl, paddle_impl]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    weight_port.write(path, seeded.draw("resnet18", 0, 10))
    return path


def state(model: Any) -> dict[str, np.ndarray]:
    return {key: np.array(value.detach().numpy()) for key, value in model.state_dict().items()}


@pytest.mark.parametrize("side", BOTH)
def test_a_new_head_is_said_and_all_else_is_the_files(checkpoint: Path, side: Any) -> None:
    whole = state(side.load(checkpoint))
    with pytest.warns(UserWarning, match=r"of 3 classes, is new \(the file's: one of 10 classes\)"):
        found = state(side.load(checkpoint, num_classes=3))
    assert list(found) == list(whole)
    for key, array in whole.items():
        assert np.array_equal(found[key], array) == (not key.startswith("fc.")), key
    assert sorted(found["fc.weight"].shape) == [3, 512]
    assert found["fc.bias"].shape == (3,)
    assert found["fc.weight"].std() > 0


@pytest.mark.parametrize("side", BOTH)
def test_the_files_own_number_of_classes_keeps_its_head(checkpoint: Path, side: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", weight_port.TwinWarning)
        found = state(side.load(checkpoint, num_classes=10))
        headless = side.load(checkpoint, include_top=False, num_classes=3)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(found.values(), state(side.load(checkpoint)).values(), strict=True)
    )
    assert not any(key.startswith("fc") for key in headless.state_dict())


@pytest.mark.parametrize("side", BOTH)
def test_a_backbone_gets_a_head_where_one_is_asked_for(tmp_path: Path, side: Any) -> None:
    tensors = seeded.draw("resnet18", 0)
    backbone = {name: array for name, array in tensors.items() if not name.startswith("fc_0")}
    weight_port.write(tmp_path / "backbone.safetensors", backbone)
    with pytest.raises(weight_port.MismatchError, match="fc_0"):
        side.load(tmp_path / "backbone.safetensors")
    with pytest.warns(UserWarning, match=r"of 7 classes, is new \(the file's: none\)"):
        found = side.load(tmp_path / "backbone.safetensors", num_classes=7)
    assert found.fc.bias.shape[0] == 7


@pytest.mark.parametrize("side", BOTH)
def test_the_new_head_takes_the_files_dtype(tmp_path: Path, side: Any) -> None:
    tensors = {name: array.astype(np.float64) for name, array in seeded.draw("resnet18", 0).items()}
    weight_port.write(tmp_path / "wide.safetensors", tensors)
    with pytest.warns(UserWarning, match="is new"):
        found = side.load(tmp_path / "wide.safetensors", num_classes=2)
    assert str(found.fc.weight.dtype).endswith("float64")


def step_torch(model: Any, batch: np.ndarray, labels: np.ndarray) -> None:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    loss = F.cross_entropy(model(torch.from_numpy(batch)), torch.from_numpy(labels))
    torch.autograd.backward(loss)
    optimizer.step()


def step_paddle(model: Any, batch: np.ndarray, labels: np.ndarray) -> None:
    trained = [p for p in model.parameters() if not p.stop_gradient]
    optimizer = paddle.optimizer.SGD(0.1, trained)
    logits = model(paddle.to_tensor(batch))
    paddle.nn.functional.cross_entropy(logits, paddle.to_tensor(labels)).backward()
    optimizer.step()


STEPS = {pytorch_impl: step_torch, paddle_impl: step_paddle}


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_backbone_stays_as_it_was_in_training(
    checkpoint: Path, side: Any, frozen: bool
) -> None:
    model = side.load(checkpoint)
    before = state(model)
    if frozen:
        model.freeze()
    model.train()
    random = np.random.default_rng(0)
    batch = random.standard_normal((4, 3, 64, 64), dtype=np.float32)
    STEPS[side](model, batch, np.array([1, 2, 3, 4]))
    changed = {key for key, array in state(model).items() if not np.array_equal(array, before[key])}
    if frozen:
        assert changed == {"fc.weight", "fc.bias"}
    else:  # the check can fail
        assert {"conv1.conv.weight", "fc.weight"} < changed
        assert any(key.endswith(("running_mean", "_mean")) for key in changed)


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.numerical
def test_both_frameworks_train_the_same_head(checkpoint: Path, side: Any) -> None:
    """Frozen before or after train(), the next step is the same; against the mirror to rounding."""
    random = np.random.default_rng(1)
    batch = random.standard_normal((4, 3, 64, 64), dtype=np.float32)
    moves = []
    for implementation in (side, *BOTH, None):
        model = (implementation or pytorch_impl).load(checkpoint)
        before = state(model)["fc.weight"]
        if implementation is side and not moves:
            model.train()
            model.freeze()
        else:
            model.freeze()
            model.train()
        if implementation is None:  # what all of them round
            step_torch(model.double(), batch.astype(np.float64), np.array([0, 1, 2, 3]))
        else:
            STEPS[implementation](model, batch, np.array([0, 1, 2, 3]))
        moved = state(model)["fc.weight"] - before
        moves.append(moved if moved.shape[0] == 512 else moved.T)
    again, *both, exact = moves
    assert np.array_equal(again, both[BOTH.index(side)])
    assert excess(*both, exact) <= 1
