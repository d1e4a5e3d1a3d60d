"""The training loop: the same numbers in both frameworks, and resumed as if it had not stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from parity.comparison.known_differences import BN_MOMENTUM, paddle_epsilon
from parity.comparison.precision import FACTOR, PRECISIONS
from parity.diagnosis.view import relative
from tests.helpers import commands, trainings
from tests.helpers.bounds import FLOAT64
from training.__main__ import main
from training.data import batches
from training.data import cifar as data
from training.data.cifar import Cifar
from training.loop import checkpoints, epochs, event_files, schedules
from training.loop.checkpoints import State
from training.loop.side import How
from training.loop.side_paddle import PaddleSide
from training.loop.side_torch import TorchSide
from training.settings import DEFAULTS, MODELS
from weight_port import arch

SIDES = {"torch": TorchSide, "paddle": PaddleSide}
SETTINGS = {**DEFAULTS, "epochs": 2, "batch": 32, "rate": 0.05, "limit": 160}
# In float64 both frameworks take the same steps up to rounding, from numbers that float32 holds:
# Paddle's kernels take momentum, decay and rate so.
EXACTLY = {"rate": 2.0**-10, "momentum": float(np.float32(0.9)), "weight_decay": 2.0**-13}
TIMES = ("time", "seconds", "images_per_second")  # of a line of the log
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def parts(cifar: Path) -> tuple[Cifar, Cifar]:
    return tuple(data.limited(data.load(cifar, part), 160) for part in ("train", "test"))


def side_of(framework: str, state: State) -> Any:
    side = SIDES[framework](dict(state.settings), How(threads=1))
    side.put(state.weights, state.momentum)
    return side


def float64_side(framework: str, state: State) -> Any:
    """In float64, with batch norms whose constants are Paddle's: it keeps them as float32."""
    side = SIDES[framework](dict(state.settings), How(threads=2, precision="float64"))
    side.put(state.weights, state.momentum)
    for module in side.model.modules() if framework == "torch" else ():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps, module.momentum = paddle_epsilon(side.name), 1 - BN_MOMENTUM
    return side


# -- schedules


def test_the_plateau_is_torchs() -> None:
    random = np.random.default_rng(0)
    losses = [*np.linspace(2.3, 1.0, 9), *random.uniform(0.8, 1.2, 40)]
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], 0.1)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, threshold=schedules.THRESHOLD, patience=schedules.PATIENCE
    )
    state, rates = schedules.begin(0.1), []
    for loss in losses:
        theirs.step(loss)
        state = schedules.after("plateau", state, loss)
        rates.append(schedules.rate("plateau", state, 0.5))
        assert rates[-1] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
    assert len(set(rates)) > 3


def test_multistep_and_cosine() -> None:
    state = schedules.begin(0.1)
    at = {done: schedules.rate("multistep", state, done) for done in (0, 0.49, 0.5, 0.75, 1)}
    assert list(at.values()) == pytest.approx([0.1, 0.1, 0.01, 0.001, 0.001])
    found = [schedules.rate("cosine", state, done) for done in (0, 0.5, 1)]
    assert found == pytest.approx([0.1, 0.05, 0])
    for name in ("multistep", "cosine"):
        assert schedules.after(name, state, 1.0) == state


# -- the weights it begins with


def test_the_start_is_the_papers_and_of_the_seed() -> None:
    found = epochs.draw("resnet20", 0, 10)
    assert list(found) == [parameter.name for parameter in arch.parameters("resnet20")]
    for layer in arch.layers("resnet20"):
        for parameter in layer.parameters:
            array = found[parameter.name]
            assert (array.shape, array.dtype) == (parameter.shape, np.float32)
            if parameter.role == "weight":
                expected = np.sqrt(2 / (layer.out_channels * layer.kernel**2))
                assert array.std() == pytest.approx(expected, rel=6 / np.sqrt(2 * array.size))
            elif parameter.role == "linear_weight":
                assert 0.9 / 8 < np.abs(array).max() <= 1 / 8
            else:
                assert (array == (parameter.role in ("scale", "variance"))).all()
    other = epochs.draw("resnet20", 1, 10)
    assert not np.array_equal(found["conv1_weights"], other["conv1_weights"])


# -- both frameworks


@pytest.mark.numerical
def test_what_is_put_in_comes_out(parts: tuple[Cifar, Cifar]) -> None:
    state = epochs.begin(SETTINGS)
    random = np.random.default_rng(0)
    momentum = {
        name: random.standard_normal(array.shape, dtype=np.float32)
        for name, array in state.weights.items()
        if not name.endswith(("_mean", "_variance"))
    }
    images, labels = next(batches.epoch(parts[0], 32, 0, 0))
    for framework in SIDES:
        side = side_of(framework, state)
        assert all(np.array_equal(a, state.weights[n]) for n, a in side.weights().items())
        assert list(side.weights()) == list(state.weights)
        side.step(images, labels, 0.0, 32)  # a rate of 0: the weights stay, the buffers don't
        gradients = side.momentum()
        assert set(gradients) == set(momentum)
        side.put(state.weights, momentum)
        side.step(images, labels, 0.0, 32)
        for name, array in side.momentum().items():
            # Three roundings of half an epsilon each: 0.9 itself, the product and the sum.
            terms = np.abs(0.9 * momentum[name]) + np.abs(gradients[name])
            expected = np.float64(0.9) * momentum[name] + gradients[name]
            assert np.all(np.abs(array - expected) <= 2 * np.finfo(np.float32).eps * terms), name
            assert np.array_equal(side.weights()[name], state.weights[name])
        side.put(state.weights, {})
        side.step(images, labels, 0.0, 32)
        for name, array in side.momentum().items():
            assert np.array_equal(array, gradients[name]), name


@pytest.mark.numerical
def test_both_frameworks_take_the_same_steps(parts: tuple[Cifar, Cifar]) -> None:
    """At a low rate: at a high one a network at its start doubles every rounding at each step."""
    state = epochs.begin({**SETTINGS, **EXACTLY})
    losses, weights = {}, {}
    for framework in SIDES:
        side = float64_side(framework, state)
        seen = list(epochs._steps(side, state, parts[0], 0))
        assert [(count, rate) for _, _, count, rate in seen] == 5 * [(32, EXACTLY["rate"])]
        losses[framework] = np.array([loss for loss, *_ in seen])
        weights[framework] = side.weights()
    assert relative(losses["paddle"], losses["torch"]) <= FLOAT64.step
    # Of all parameters together; the statistics' variance is biased in Paddle, unbiased in torch.
    updates = {
        framework: np.concatenate(
            [
                (found[name] - state.weights[name]).ravel()
                for name in found
                if "_variance" not in name
            ]
        )
        for framework, found in weights.items()
    }
    assert relative(updates["paddle"], updates["torch"]) <= FLOAT64.step
    moved = [
        name
        for name in weights["torch"]
        if not np.array_equal(weights["torch"][name], state.weights[name])
    ]
    assert len(moved) == len(weights["torch"])


@pytest.mark.parametrize(("first", "second"), [("paddle", "torch"), ("torch", "paddle")])
@pytest.mark.numerical
def test_a_run_goes_on_in_the_other_framework(
    parts: tuple[Cifar, Cifar], tmp_path: Path, first: str, second: str
) -> None:
    """Twenty steps in one, then twenty in the other: beside the run that stayed in the first."""
    settings = {**SETTINGS, **EXACTLY, "epochs": 8, "rate": 2.0**-6, "batch": 8}
    train = data.limited(parts[0], 5 * 8)
    state = epochs.begin(settings)
    side = float64_side(first, state)
    for number in range(4):
        list(epochs._steps(side, state, train, number))
    there = replace(state, weights=side.weights(), momentum=side.momentum(), epoch=4)
    there = replace(there, history=trainings.history(4))
    checkpoints.save(tmp_path / "there.safetensors", there)
    other = float64_side(second, checkpoints.load(tmp_path / "there.safetensors"))
    forgotten = float64_side(second, replace(there, momentum={}))
    losses: dict[str, list[float]] = {"stayed": [], "went": [], "forgot": []}
    for number in range(4, 8):
        for name, at in (("stayed", side), ("went", other), ("forgot", forgotten)):
            losses[name] += [loss for loss, *_ in epochs._steps(at, there, train, number)]
    found = {name: np.array(values) for name, values in losses.items()}
    assert len(found["went"]) == 20
    assert relative(found["went"], found["stayed"]) <= FLOAT64.step
    assert relative(found["forgot"], found["stayed"]) > 1e-2  # the buffers do matter


@pytest.mark.numerical
def test_channels_last_is_the_same_training_and_bfloat16_nearly(parts: tuple[Cifar, Cifar]) -> None:
    """At a low rate again, a momentum from before included."""
    state = epochs.begin({**SETTINGS, "rate": 0.001})
    before = side_of("torch", state)
    list(epochs._steps(before, state, parts[0], 0))
    state = replace(state, weights=before.weights(), momentum=before.momentum())
    ways = {
        "exact": How(threads=1, precision="float64"),
        "last": How(threads=1, precision="float64", channels_last=True),
        "usual": How(threads=1),
        "mixed": How(threads=1, precision="bfloat16", channels_last=True),
    }
    losses, ends = {}, {}
    for name, how in ways.items():
        side = TorchSide(dict(state.settings), how)
        side.put(state.weights, state.momentum)
        buffers = [one["momentum_buffer"] for one in side.optimizer.state.values()]
        weight = next(side.model.parameters())
        assert buffers[0].stride() == weight.stride()
        assert weight.is_contiguous(memory_format=side.layout)
        losses[name] = np.array([loss for loss, *_ in epochs._steps(side, state, parts[0], 1)])
        ends[name] = np.concatenate([array.ravel() for array in side.momentum().values()])
        assert {array.dtype for array in side.weights().values()} == {how.dtype}
        assert epochs.evaluate(side, parts[1])[0] > 0
    assert relative(losses["last"], losses["exact"]) <= FLOAT64.step
    assert relative(ends["last"], ends["exact"]) <= FLOAT64.step
    # Coarser than float32, whose own error is the measure, and no coarser than bfloat16's unit.
    bfloat16 = PRECISIONS["bfloat16"]
    single, mixed = (relative(losses[name], losses["exact"]) for name in ("usual", "mixed"))
    assert FACTOR * single < mixed <= bfloat16.epsilon
    assert relative(ends["mixed"], ends["exact"]) <= bfloat16.gradient


@pytest.mark.numerical
def test_evaluation_is_the_frameworks(parts: tuple[Cifar, Cifar]) -> None:
    state = epochs.begin(SETTINGS)
    side = float64_side("torch", state)
    loss, right = epochs.evaluate(side, parts[1])
    logits = torch.from_numpy(side.logits(batches.normalised(parts[1].images)))
    labels = torch.from_numpy(np.array(parts[1].labels))
    expected = torch.nn.functional.cross_entropy(logits, labels)
    assert loss == pytest.approx(float(expected), rel=FLOAT64.logits)
    assert right == int((logits.argmax(1) == labels).sum())


def test_it_learns(parts: tuple[Cifar, Cifar]) -> None:
    settings = {**SETTINGS, "epochs": 3}
    state = epochs.begin(settings)
    side = side_of("torch", state)
    for _ in range(3):
        state = epochs.epoch(side, state, *parts, "torch")
    assert [line["epoch"] for line in state.history] == [1, 2, 3]
    assert state.history[-1]["train_accuracy"] > state.history[0]["train_accuracy"] > 0.1
    assert state.history[-1]["train_accuracy"] > 0.5


def test_a_loss_that_is_no_number_ends_the_run(parts: tuple[Cifar, Cifar]) -> None:
    state = epochs.begin({**SETTINGS, "rate": 1e30})
    side = side_of("torch", state)
    with pytest.raises(
        FloatingPointError, match=r"epoch 1: the loss is (nan|inf): a smaller --rate"
    ):
        epochs.epoch(side, state, *parts, "torch")


# -- checkpoints


@pytest.mark.parametrize("epoch", [0, 1, 3])
def test_a_checkpoint_holds_all_of_it(tmp_path: Path, epoch: int) -> None:
    state = trainings.state(epoch)
    checkpoints.save(tmp_path / "a.safetensors", state)
    loaded = checkpoints.load(tmp_path / "a.safetensors")
    for part in ("weights", "momentum"):
        one, other = getattr(loaded, part), getattr(state, part)
        assert set(one) == set(other)
        assert all(one[name].tobytes() == other[name].tobytes() for name in one)
    assert (loaded.epoch, loaded.schedule) == (epoch, state.schedule)
    assert (loaded.settings, loaded.history) == (state.settings, state.history)


# -- the command


def words(cifar: Path, framework: str, out: Path, *more: str) -> list[str]:
    return ["--framework", framework, "--data", str(cifar), "--out", str(out), *more]


SMALL = (
    "--epochs",
    "4",
    "--batch",
    "32",
    "--limit",
    "96",
    "--schedule",
    "plateau",
    "--rate",
    "0.05",
)


run = partial(commands.run, main)


@pytest.mark.parametrize("framework", SIDES)
def test_killed_and_resumed_is_the_run_that_was_not(
    cifar: Path, tmp_path: Path, framework: str
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    done = run(*words(cifar, framework, whole, *SMALL))
    assert done.returncode == 0, done.stderr
    assert "4 epochs" in done.stdout
    made = {path.name for path in whole.iterdir()}
    assert {"curves.png", "curves.svg", epochs.LOG, *event_files.FILES} <= made
    # Killed once in some epoch after the first, wherever it is then.
    command = [sys.executable, "-m", "training", *words(cifar, framework, cut, *SMALL)]
    started = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 120
    while not (cut / epochs.LOG).exists() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.15)
    with contextlib.suppress(ProcessLookupError):  # it may have ended
        os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    reached = checkpoints.load(cut / epochs.CHECKPOINT).epoch
    assert 1 <= reached <= 4
    done = run(*words(cifar, framework, cut, "--resume"))
    assert done.returncode == 0, done.stderr
    one, other = (checkpoints.load(at / epochs.CHECKPOINT) for at in (whole, cut))
    assert one.epoch == other.epoch == 4
    assert one.schedule == other.schedule
    for part in ("weights", "momentum"):
        for name, array in getattr(one, part).items():
            assert array.tobytes() == getattr(other, part)[name].tobytes(), name
    logs = [
        [{k: v for k, v in json.loads(line).items() if k not in TIMES}
         for line in (at / epochs.LOG).read_text().splitlines()]
        for at in (whole, cut)
    ]  # fmt: skip
    assert logs[0] == logs[1]
    assert len(logs[0]) == 4


def test_a_run_of_paddle_goes_on_in_torch(cifar: Path, tmp_path: Path, monkeypatch) -> None:
    first, second = tmp_path / "paddle", tmp_path / "torch"
    done = run(*words(cifar, "paddle", first, *SMALL))
    assert done.returncode == 0, done.stderr
    state = checkpoints.load(first / epochs.CHECKPOINT)
    # As if it had been stopped after two of its epochs.
    longer = replace(state, settings={**state.settings, "epochs": 6})
    checkpoints.save(first / epochs.CHECKPOINT, longer)
    path = str(first / epochs.CHECKPOINT)
    done = run(*words(cifar, "torch", second, "--resume", path))
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (second / epochs.LOG).read_text().splitlines()]
    assert [line["framework"] for line in lines] == 4 * ["paddle"] + 2 * ["torch"]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--framework", "paddle", "--precision", "bfloat16"], "paddle has no kernels for it"),
        (["--framework", "paddle", "--channels-last"], "--channels-last: not in paddle"),
        (["--resume", "nowhere.safetensors"], "nowhere.safetensors: no checkpoint of a training"),
    ],
)
def test_what_a_framework_cannot_do_ends_with_2(
    cifar: Path, tmp_path: Path, capsys, more, said: str
) -> None:
    out = tmp_path / "out"
    status = main(["--framework", "torch", "--data", str(cifar), "--out", str(out), *more])
    assert status == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--epochs", "0"], "--epochs: '0' must be a whole number, at least 1"),
        (["--rate", "0"], "--rate: '0' must be above 0"),
        (["--momentum", "1"], "--momentum: '1' must be at least 0 and below 1"),
        (["--weight-decay", "-1e-4"], "--weight-decay: '-1e-4' must be at least 0"),
        (["--seed", "-1"], "--seed: '-1' must be a whole number, at least 0"),
        (["--threads", "0"], "--threads: '0' must be a whole number, at least 1"),
        (["--workers", "0"], "--workers: '0' must be a whole number, at least 1"),
    ],
)
def test_options_out_of_range_end_with_2(tmp_path: Path, capsys, more, reason: str) -> None:
    arguments = [f"{more[0]}={more[1]}", "--data", "x", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        main(["--framework", "torch", *arguments])
    assert ended.value.code == 2
    assert f"argument {reason}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_no_data_is_an_error_before_a_framework_is_loaded(tmp_path: Path, capsys) -> None:
    words = ["--framework", "torch", "--data", str(tmp_path / "no"), "--out", str(tmp_path / "o")]
    assert main(words) == 2
    assert "make it with python -m training.data" in capsys.readouterr().err


def test_a_training_that_is_there_is_not_lost(cifar: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    out.mkdir()
    checkpoints.save(out / epochs.CHECKPOINT, epochs.begin(SETTINGS))
    words = ["--framework", "torch", "--data", str(cifar), "--out", str(out)]
    before = (out / epochs.CHECKPOINT).read_bytes()
    assert main(words) == 2
    assert "exists; --resume continues, --force begins anew" in capsys.readouterr().err
    assert main([*words, "--resume", "--seed", "7"]) == 2
    assert "was begun with seed 0; leave the options out" in capsys.readouterr().err
    other = tmp_path / "other.safetensors"
    checkpoints.save(other, epochs.begin(SETTINGS))
    assert main([*words, "--resume", str(other)]) == 2
    assert "exists; name another --out, or --force" in capsys.readouterr().err
    assert (out / epochs.CHECKPOINT).read_bytes() == before


def test_the_networks_are_cifars() -> None:
    assert "resnet20" in MODELS
    assert "cifar_resnet18" in MODELS
    assert "resnet50" not in MODELS
