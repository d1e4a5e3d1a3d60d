"""What a training begins with: after a kill, for more epochs, or from the weights of a file."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weight_port
from tests.helpers import commands, kill_steps, trainings
from training import __main__ as command
from training import curves
from training.loop import checkpoints, epochs, event_files, lock

ROOT = Path(__file__).parents[2]
TRAINED = ROOT / "assets/resnet20-cifar10.safetensors"
run = partial(commands.run, command.main)


@pytest.mark.parametrize(("before", "after"), [(-1, 0), (1, 2), (3, 4), (3, 0)])
def test_killed_at_every_step_it_is_of_one_epoch(
    cifar: Path, tmp_path: Path, before: int, after: int
) -> None:
    """The first states of a training, later ones, its last, and one in place of another's."""
    program = [sys.executable, "-m", "tests.helpers.kill_epochs", str(tmp_path), str(cifar)]
    done = subprocess.run(
        [*program, str(before), str(after)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    *killed, ended = json.loads(done.stdout)
    assert {row["status"] for row in killed} == {kill_steps.KILLED}
    assert ended["status"] == 0
    assert len(killed) > 10
    reached = {row["killed"]["epoch"] for row in killed}
    assert reached == {None if before < 0 else before, after}
    stale = [row for row in killed if False in row["killed"].values()]
    assert stale, "no kill fell between two files"
    for row in (*killed, ended):
        epoch = row["killed"]["epoch"] or 0
        assert row["then"] == {"epoch": epoch, "weights": True, "log": True, "events": True}
        assert row["drawn"] == ([epoch] if epoch else [])
        assert row["resumed"] == (0 if epoch == 4 else 1)  # 1: the epochs that are left


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The settings of every training that is started; none is run, or drawn."""
    settings: list[dict[str, Any]] = []

    def start(_: Any, given: dict[str, Any], __: Any) -> int:
        settings.append(given)
        return 1

    monkeypatch.setattr(command, "_start", start)
    monkeypatch.setattr(curves, "draw", lambda *_: [])
    return settings


def words(cifar: Path, out: Path, *more: str | Path) -> list[str | Path]:
    return ["--framework", "torch", "--data", cifar, "--out", out, *more]


# -- more epochs


def test_more_epochs_than_it_was_begun_for(cifar: Path, tmp_path: Path, started) -> None:
    epochs.write(tmp_path, trainings.state(4))
    done = run(*words(cifar, tmp_path, "--resume"))
    assert (done.returncode, started) == (0, [])
    assert "4 epochs" in done.stdout
    done = run(*words(cifar, tmp_path, "--resume", "--epochs", "6"))
    assert done.returncode == 1
    assert "was begun for 4 epochs; the schedule multistep is from now on that of 6" in done.stderr
    assert [settings["epochs"] for settings in started] == [6]
    state = checkpoints.load(tmp_path / epochs.CHECKPOINT)
    assert (state.epoch, state.settings["epochs"]) == (4, 6)
    done = run(*words(cifar, tmp_path, "--resume", "--epochs", "3"))
    assert done.returncode == 2
    assert "has 4 epochs already; ask for that many or more with --epochs" in done.stderr


# -- whose folder it is


def test_the_second_training_in_a_folder_is_refused(cifar: Path, tmp_path: Path, started) -> None:
    program = [sys.executable, "-c", f"""
import sys, time
from pathlib import Path
from training.loop import lock
with lock.held(Path({str(tmp_path)!r})):
    print("held", flush=True)
    time.sleep(60)
"""]  # fmt: skip
    with subprocess.Popen(program, stdout=subprocess.PIPE, cwd=ROOT, text=True) as first:
        assert first.stdout is not None
        first.stdout.readline()
        for more in ([], ["--resume"], ["--force"]):
            done = run(*words(cifar, tmp_path, *more))
            assert done.returncode == 2
            assert f"process {first.pid}" in done.stderr
            assert "trains there now" in done.stderr
        assert [path.name for path in tmp_path.iterdir()] == [lock.FILE]
        first.kill()
    assert run(*words(cifar, tmp_path)).returncode == 1
    assert len(started) == 1


@pytest.mark.parametrize("name", [epochs.LOG, epochs.WEIGHTS, *event_files.FILES])
def test_files_of_a_training_without_its_checkpoint_are_kept(
    cifar: Path, tmp_path: Path, started, name: str
) -> None:
    (tmp_path / name).write_text("{}")
    for more in ([], ["--resume"], ["--weights", TRAINED]):
        done = run(*words(cifar, tmp_path, *more))
        assert done.returncode == 2
        assert f"has {name}, and no {epochs.CHECKPOINT} to continue from" in done.stderr
        assert (tmp_path / name).read_text() == "{}"
    assert run(*words(cifar, tmp_path, "--force")).returncode == 1
    assert len(started) == 1


# -- from weights


def begun(cifar: Path, out: Path, path: Path, *more: str) -> tuple[checkpoints.State, str]:
    """The state that a training with the weights of a file begins with, and what is said."""
    done = run(*words(cifar, out, "--weights", path, *more))
    assert done.returncode == 1, done.stderr
    return checkpoints.load(out / epochs.CHECKPOINT), done.stderr


@pytest.mark.parametrize(
    ("dialect", "ending", "count"),
    [
        ("torchvision", "safetensors", 7),
        ("paddle1", "pdparams", 10),
        ("pytorch_impl", "npz", 10),
        ("pytorch_impl", "pdparams", 7),
    ],
)
def test_it_begins_with_a_networks_weights(
    cifar: Path, tmp_path: Path, started, fake, ending: str, dialect: str, count: int
) -> None:
    name = "resnet18" if dialect == "torchvision" else "resnet20"
    tensors = fake(dialect, name, count)
    path = tmp_path / f"weights.{ending}"
    weight_port.write(path, tensors)
    state, shown = begun(cifar, tmp_path / "out", path, "--seed", "5", "--epochs", "9")
    assert started[0]["model"] == name
    assert (state.epoch, state.momentum, state.history) == (0, {}, [])
    assert state.settings.items() >= {"model": name, "epochs": 9, "seed": 5}.items()
    drawn, given = epochs.draw(name, 5, 10), weight_port.convert(tensors, "paddle1", dialect)
    for key, array in state.weights.items():
        classifier = "fc" in key
        expected = drawn[key] if classifier and count != 10 else given[key]
        assert np.array_equal(array, expected), key
    assert (f"its classifier of {count} classes" in shown) == (count != 10)
    assert ("made for larger images than 32x32" in shown) == (name == "resnet18")


def test_it_begins_with_the_weights_of_a_checkpoint(cifar: Path, tmp_path: Path, started) -> None:
    old = trainings.state(3)
    epochs.write(tmp_path, old)
    state, shown = begun(cifar, tmp_path / "out", tmp_path / epochs.CHECKPOINT)
    assert all(np.array_equal(state.weights[name], old.weights[name]) for name in old.weights)
    assert (state.epoch, state.momentum, state.history) == (0, {}, [])
    assert "the weights of resnet20" in shown


def test_what_cannot_be_trained_is_refused(cifar: Path, tmp_path: Path, started, fake) -> None:
    nan = {name: np.array(array) for name, array in epochs.draw("resnet20", 0, 10).items()}
    nan["conv1_weights"][0, 0, 0, 0] = np.nan
    files = {
        "grey": (fake("pytorch_impl", "resnet20", 10, 1), "1 input channels: only ResNets"),
        "nan": (nan, "1 of 97 tensors have numbers that are not finite, 'conv1_weights'"),
        "none": ({"a": np.ones(3, np.float32)}, "fit no network"),
    }
    for name, (tensors, reason) in files.items():
        path = tmp_path / f"{name}.safetensors"
        weight_port.write(path, tensors)
        done = run(*words(cifar, tmp_path / "out", "--weights", path))
        assert done.returncode == 2
        assert reason in done.stderr, name
    done = run(*words(cifar, tmp_path / "out", "--model", "resnet50"))
    assert "is trained with --weights only" in done.stderr
    assert (done.returncode, started) == (2, [])
    assert not list((tmp_path / "out").iterdir())


def test_a_trained_network_goes_on_and_on(cifar: Path, tmp_path: Path) -> None:
    """In a framework's process; the checkpoint of no training says how it is begun with."""
    small = ("--limit", "64", "--batch", "32", "--epochs", "1", "--threads", "1")
    done = run(*words(cifar, tmp_path, "--resume", TRAINED, *small))
    assert done.returncode == 2
    assert "--weights FILE begins a training" in done.stderr
    done = run(*words(cifar, tmp_path, "--weights", TRAINED, *small))
    assert done.returncode == 0, done.stderr
    done = run(*words(cifar, tmp_path, "--resume", "--epochs", "2", "--threads", "1"))
    assert done.returncode == 0, done.stderr
    state = checkpoints.load(tmp_path / epochs.CHECKPOINT)
    assert [line["epoch"] for line in state.history] == [1, 2]
    assert len(state.settings["weights"]) == 64
    weights = weight_port.read(tmp_path / epochs.WEIGHTS)
    assert all(np.array_equal(weights[name], array) for name, array in state.weights.items())
    assert not (tmp_path / lock.FILE).exists()
