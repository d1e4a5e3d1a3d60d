"""Checkpoints as the frameworks' own files: loaded by the frameworks' own calls, and read back."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
import torch

import weight_port
from parity.diagnosis.view import relative
from tests.helpers import trainings
from tests.helpers.bounds import excess
from training import exchange
from training.loop import checkpoints, epochs
from training.loop.checkpoints import State
from training.loop.side import How, named
from training.loop.side_paddle import PaddleSide
from training.loop.side_torch import TorchSide
from training.settings import DEFAULTS

SIDES = {"torch": (TorchSide, "pytorch_impl"), "paddle": (PaddleSide, "paddle_impl")}
FILES = {"torch": "training.pt", "paddle": "training.pdparams"}
# A user's own process: the framework, our network and the files alone. Saves the weights and
# buffers after a step with a rate of 0.01 on images of ones, under the keys of the framework.
USERS = {
    "torch": """
import sys, numpy as np, torch, pytorch_impl
folder, out = sys.argv[1:]
model = pytorch_impl.MODELS["resnet20"]()
optimizer = torch.optim.SGD(model.parameters(), 0.5, 0.1)  # the file's settings win
state = torch.load(folder + "/training.pt", weights_only=True)
model.load_state_dict(state["model"])
optimizer.load_state_dict(state["optimizer"])
logits = model.train()(torch.ones(2, 3, 32, 32))
torch.nn.functional.cross_entropy(logits, torch.tensor([1, 2])).backward()
optimizer.step()
np.savez(out, **{k: p.detach().numpy() for k, p in model.named_parameters()})
""",
    "paddle": """
import sys, numpy as np, paddle, paddle_impl
folder, out = sys.argv[1:]
model = paddle_impl.MODELS["resnet20"]()
optimizer = paddle.optimizer.Momentum(0.01, 0.9, model.parameters(), weight_decay=1e-4)
model.set_state_dict(paddle.load(folder + "/training.pdparams"))
optimizer.set_state_dict(paddle.load(folder + "/training.pdopt"))
model.train()
logits = model(paddle.ones([2, 3, 32, 32]))
paddle.nn.functional.cross_entropy(logits, paddle.to_tensor([1, 2])).backward()
optimizer.step()
np.savez(out, **{k: p.numpy() for k, p in model.named_parameters()})
""",
}


@pytest.fixture(scope="module")
def state() -> State:
    """In the middle of a training: its rate is 0.01 by now."""
    begun = epochs.begin({**DEFAULTS, "epochs": 10})
    random = np.random.default_rng(0)
    momentum = {
        name: random.standard_normal(array.shape, dtype=np.float32)
        for name, array in begun.weights.items()
        if not name.endswith(("_mean", "_variance"))
    }
    return replace(begun, momentum=momentum, epoch=6, history=trainings.history(6))


@pytest.fixture(scope="module")
def checkpoint(state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "last.safetensors"
    checkpoints.save(path, state)
    return path


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each framework's files."""
    folders = {name: tmp_path_factory.mktemp("files") / name for name in FILES}
    for name, folder in folders.items():
        words = ["export", str(checkpoint), "--framework", name, "--out", str(folder)]
        assert exchange.main(words) == 0
    return folders


def back(framework: str, file: Path, like: Path, out: Path) -> int:
    words = ["import", str(file), "--framework", framework, "--like", str(like)]
    return exchange.main([*words, "--out", str(out)])


@pytest.mark.parametrize("framework", FILES)
def test_there_and_back_is_the_same_to_the_bit(
    state: State, checkpoint: Path, exported: dict[str, Path], tmp_path: Path, framework: str
) -> None:
    out = tmp_path / "back.safetensors"
    assert back(framework, exported[framework] / FILES[framework], checkpoint, out) == 0
    assert out.read_bytes() == checkpoint.read_bytes()
    assert checkpoints.load(out).momentum.keys() == state.momentum.keys()


@pytest.mark.parametrize("framework", FILES)
@pytest.mark.numerical
def test_a_users_own_process_goes_on_from_them(
    state: State, exported: dict[str, Path], tmp_path: Path, framework: str
) -> None:
    """Its next step, of a process that knows nothing of this package's training, is ours."""
    out = tmp_path / "after.npz"
    program = [sys.executable, "-W", "ignore", "-c", USERS[framework]]
    done = subprocess.run(
        [*program, str(exported[framework]), str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    make, dialect = SIDES[framework]
    after = named(dialect, "resnet20", weight_port.read(out))
    moves = []
    for precision, momentum in (
        ("float32", state.momentum),
        ("float64", state.momentum),
        ("float32", {}),
    ):
        side = make(dict(state.settings), How(threads=1, precision=precision))
        side.put(state.weights, momentum)
        ones, labels = np.ones((2, 3, 32, 32), np.float32), np.array([1, 2])
        side.step(ones, labels, exchange.next_rate(state), 2)
        moves.append({name: side.weights()[name] - state.weights[name] for name in state.momentum})
    ours, exact, forgot = moves
    assert exchange.next_rate(state) == pytest.approx(0.01)
    for name in state.momentum:
        theirs = after[name] - state.weights[name]
        assert excess(theirs, ours[name], exact[name]) <= 1, name
        assert relative(forgot[name], ours[name]) > 0.1, name


# -- what is not such a file


def damaged(exported: dict[str, Path], folder: Path, framework: str, fault: str) -> Path:
    """A copy with something wrong."""
    folder.mkdir()
    if framework == "torch":
        found: Any = torch.load(exported["torch"] / "training.pt", weights_only=True)
        if fault == "swapped":
            buffers = found["optimizer"]["state"]
            buffers[0], buffers[1] = buffers[1], buffers[0]
        elif fault == "another optimizer":
            found["optimizer"]["param_groups"][0]["nesterov"] = True
        else:
            del found["model"]
        torch.save(found, folder / "training.pt")
        return folder / "training.pt"
    (folder / "training.pdparams").write_bytes(
        (exported["paddle"] / "training.pdparams").read_bytes()
    )
    found = paddle.load(str(exported["paddle"] / "training.pdopt"))
    first, second, *_ = found
    if fault == "swapped":
        found[first], found[second] = found[second], found[first]
    elif fault == "another optimizer":
        found = {key.replace("_velocity_0", "_moment1_0"): value for key, value in found.items()}
    else:
        return folder / "training.pdparams"
    paddle.save(found, str(folder / "training.pdopt"))
    return folder / "training.pdparams"


@pytest.mark.parametrize("fault", ["swapped", "another optimizer", "a half"])
@pytest.mark.parametrize("framework", FILES)
def test_other_files_are_refused(
    checkpoint: Path, exported: dict[str, Path], tmp_path: Path, capfd, framework: str, fault: str
) -> None:
    file = damaged(exported, tmp_path / "damaged", framework, fault)
    out = tmp_path / "back.safetensors"
    assert back(framework, file, checkpoint, out) == 2
    said = {
        "swapped": "SGD's buffers are wrong or missing of",
        "another optimizer": {"torch": "Nesterov's momentum", "paddle": "no Momentum's state"},
        "a half": {"torch": "no {model, optimizer} of resnet20", "paddle": "with a .pdopt beside"},
    }[fault]
    assert (said if isinstance(said, str) else said[framework]) in capfd.readouterr().err
    assert not out.exists()


def test_nothing_is_replaced_unasked(
    checkpoint: Path, exported: dict[str, Path], tmp_path: Path, capsys
) -> None:
    words = ["export", str(checkpoint), "--framework", "torch", "--out", str(exported["torch"])]
    assert exchange.main(words) == 2
    assert "exists" in capsys.readouterr().err
    assert back("torch", exported["torch"] / "training.pt", checkpoint, checkpoint) == 2
    assert "exists" in capsys.readouterr().err
