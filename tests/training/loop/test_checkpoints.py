"""Checkpoints: what is none, or has changed, is an error that says the way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weight_port
from tests.helpers import trainings
from training.errors import CheckpointError
from training.loop import checkpoints, epochs
from weight_port.formats import safetensors
from weight_port.storage import disk

Tensors = dict[str, np.ndarray]
BUFFER = "momentum/conv1_weights"


def write(path: Path, tensors: Tensors, about: Any, digest: str | None = None) -> None:
    """A file as a checkpoint's, with its true digest, or another's."""
    text = about if isinstance(about, str) else json.dumps(about)
    true = checkpoints._digest(tensors, text)
    with disk.new_file(path, force=True) as stream:
        safetensors.write(stream, tensors, {"training": text, "sha256": digest or true})


@pytest.fixture
def parts(tmp_path: Path) -> tuple[Tensors, dict[str, Any]]:
    """The tensors of a whole checkpoint and what it says of its training."""
    path = tmp_path / "whole.safetensors"
    checkpoints.save(path, trainings.state(2))
    tensors = {name: np.array(array) for name, array in weight_port.read(path).items()}
    return tensors, json.loads(safetensors.read_metadata(path)["training"])


def refused(path: Path, reason: str, way_out: str = "begin anew") -> None:
    with pytest.raises(CheckpointError) as error:
        checkpoints.load(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert reason in message
    assert way_out in message
    assert len(message) < 1000


@pytest.mark.parametrize("name", ["weights.safetensors", "text.safetensors", "nowhere", "folder"])
def test_other_files_are_no_checkpoints(tmp_path: Path, name: str) -> None:
    weight_port.write(tmp_path / "weights.safetensors", epochs.draw("resnet20", 0, 10))
    (tmp_path / "text.safetensors").write_text("no tensors")
    (tmp_path / "folder").mkdir()
    refused(tmp_path / name, "no checkpoint of a training", "--weights FILE begins")


def test_every_flipped_bit_shows(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    checkpoints.save(path, trainings.state(1))
    whole = path.read_bytes()
    data = 8 + int.from_bytes(whole[:8], "little")
    epoch = whole.index(b'\\"rate\\"')  # in the header's JSON text
    for place in (data, data + 1, (data + len(whole)) // 2, len(whole) - 1, epoch + 3):
        for bit in (0, 6):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            with pytest.raises(CheckpointError, match=r"begin anew|--weights FILE begins"):
                checkpoints.load(path)
    for end in (data, len(whole) - 1, 100, 0):
        path.write_bytes(whole[:end])
        refused(path, "no checkpoint of a training", "--weights FILE begins")
    path.write_bytes(whole)
    assert checkpoints.load(path).epoch == 1


def test_a_digest_of_another_is_refused(tmp_path: Path, parts) -> None:
    tensors, about = parts
    write(tmp_path / "a.safetensors", tensors, about)
    assert checkpoints.load(tmp_path / "a.safetensors").epoch == 2
    write(tmp_path / "a.safetensors", tensors, about, digest="0" * 64)
    refused(tmp_path / "a.safetensors", "has changed since it was written")


def lacking(name: str) -> Callable[[Tensors], Any]:
    return lambda tensors: tensors.pop(name)


def having(name: str, array: np.ndarray) -> Callable[[Tensors], Any]:
    return lambda tensors: tensors.update({name: array})


ONE = np.ones(1, np.float32)
TENSORS = {
    "no buffer": (lacking(BUFFER), "buffers missing: 'conv1_weights'"),
    "no weight": (lacking("weights/conv1_weights"), "weights missing: 'conv1_weights'"),
    "unknown buffer": (having("momentum/else", ONE), "buffers unknown: 'else'"),
    "unknown weight": (having("weights/else", ONE), "weights unknown: 'else'"),
    "neither": (having("else", ONE), "unknown: 'else'"),
    "a statistic's buffer": (
        having("momentum/bn_conv1_mean", np.ones(16, np.float32)),
        "buffers unknown: 'bn_conv1_mean'",
    ),
    "another shape": (having(BUFFER, ONE), "buffers of another shape: 'conv1_weights'"),
    "another dtype": (having(BUFFER, np.ones((16, 3, 3, 3), np.float16)), "not all of one dtype"),
    "integers": (having(BUFFER, np.ones((16, 3, 3, 3), np.int64)), "not all of one dtype"),
    "NaN": (having(BUFFER, np.full((16, 3, 3, 3), np.nan, np.float32)), "not finite"),
}


@pytest.mark.parametrize("fault", TENSORS)
def test_tensors_that_are_no_whole_state_are_refused(tmp_path: Path, parts, fault: str) -> None:
    tensors, about = parts
    change, reason = TENSORS[fault]
    change(tensors)
    write(tmp_path / "a.safetensors", tensors, about)
    refused(tmp_path / "a.safetensors", reason)


ABOUT = {
    "no JSON": ("{", "damaged"),
    "deep": ("[" * 100_000, "damaged"),
    "a list": ([], "a checkpoint of format None"),
    "NaN": ('{"format": NaN}', "damaged"),
    "a huge number": ('{"format": 1' + "0" * 400 + "}", "a checkpoint of format"),
    "the older format": ({"format": 1}, "a checkpoint of format 1, and this version has 2"),
    "nothing more": ({"format": 2}, "damaged"),
}
CHANGED = {
    "epoch": ({"epoch": 3}, "damaged: after epoch 3, with a history of 2 lines"),
    "negative epoch": ({"epoch": -1}, "damaged"),
    "an epoch that is text": ({"epoch": "2"}, "damaged"),
    "a field too many": ({"more": 1}, "damaged"),
    "schedule": ({"schedule": {"rate": -1, "best": None, "bad": 0}}, "damaged"),
    "settings": ({"settings": {}}, "damaged"),
    "history": ({"history": [1, 2]}, "damaged"),
}


@pytest.mark.parametrize("fault", [*ABOUT, *CHANGED])
def test_a_hostile_description_is_refused(tmp_path: Path, parts, fault: str) -> None:
    tensors, about = parts
    given, reason = ABOUT.get(fault) or ({**about, **CHANGED[fault][0]}, CHANGED[fault][1])
    write(tmp_path / "a.safetensors", tensors, given)
    refused(tmp_path / "a.safetensors", reason)


@pytest.mark.parametrize(
    ("key", "value"),
    [("model", "vgg16"), ("model", "x" * 10_000), ("batch", 0), ("rate", 0), ("momentum", 1.5)],
)
def test_hostile_settings_are_refused(tmp_path: Path, parts, key: str, value: Any) -> None:
    tensors, about = parts
    about["settings"][key] = value
    write(tmp_path / "a.safetensors", tensors, about)
    with pytest.raises(CheckpointError) as error:
        checkpoints.load(tmp_path / "a.safetensors")
    assert len(str(error.value)) < 1000


def test_a_state_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    state = trainings.state(1)
    state.history[0]["train_loss"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        checkpoints.save(tmp_path / "a.safetensors", state)
    assert not list(tmp_path.iterdir())
