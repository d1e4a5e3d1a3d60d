"""Several processes on one training: the numbers of one process, through either launcher."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity.diagnosis.view import relative
from tests import ROOT
from tests.helpers import cifar_files
from tests.helpers.faulty_workers import FAULTS
from training import curves
from training.__main__ import main
from training.data import batches
from training.data import cifar as data
from training.data.cifar import Cifar
from training.loop import checkpoints, epochs
from training.loop import launch as process
from training.loop.checkpoints import State

FRAMEWORKS = tuple(process.MODULES)
# Two steps an epoch, and a last batch of 5 images: 2 for the first worker, 3 for the second.
SETTINGS = ("--epochs", "2", "--batch", "32", "--limit", "37", "--rate", "0.01")


@pytest.fixture(scope="module")
def black(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Black images, which no crop changes, with labels of all kinds.

    All images being equal, a batch norm's statistics are the same over any share of them; the
    losses and gradients are not, since the labels differ.
    """
    folder = tmp_path_factory.mktemp("data") / "black"
    made = cifar_files.made()
    data.store(Cifar(np.zeros_like(made.images), made.labels), folder, "black")
    return folder


@pytest.fixture(scope="module", autouse=True)
def undrawn() -> Iterator[None]:
    """Curves are drawn by another test: of a run here they'd take a second."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(curves, "draw", lambda *_: [])
        yield


def words(framework: str, cifar: Path, out: Path, workers: int, *more: str) -> list[str]:
    where = ["--framework", framework, "--data", str(cifar), "--out", str(out)]
    return [*where, "--workers", str(workers), *more]


def trained(framework: str, cifar: Path, out: Path, workers: int, *more: str) -> State:
    assert main(words(framework, cifar, out, workers, *SETTINGS, *more)) == 0
    return checkpoints.load(out / epochs.CHECKPOINT)


def distance(one: State, other: State) -> float:
    """The largest relative difference of losses, weights and buffers.

    The running variances are left out: torch keeps the unbiased one, of a worker's images.
    """
    pairs = [
        (getattr(one, part)[name], getattr(other, part)[name])
        for part in ("weights", "momentum")
        for name in getattr(one, part)
        if not name.endswith("_variance")
    ]
    pairs += [
        tuple(np.array([line[key] for line in state.history]) for state in (one, other))
        for key in ("train_loss", "train_accuracy")
    ]
    return max(relative(*pair) for pair in pairs)


@pytest.fixture(scope="module")
def single(black: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, State]:
    """One process in float64 on the black images, by framework."""
    out = tmp_path_factory.mktemp("single")
    return {
        framework: trained(framework, black, out / framework, 1, "--precision", "float64")
        for framework in FRAMEWORKS
    }


@contextlib.contextmanager
def helper(framework: str, name: str, **variables: str) -> Iterator[None]:
    """Within it, a framework's workers are those of a module of ``tests.helpers``."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(process.MODULES, framework, f"tests.helpers.{name}")
        for variable, value in {**variables, "PYTHONPATH": ":".join(filter(None, paths))}.items():
            patched.setenv(variable, value)
        yield


@pytest.fixture(scope="module", params=FRAMEWORKS)
def two(
    black: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> tuple[str, dict[str, State]]:
    """A framework, and two workers' state with each fault and without any ("")."""
    out = tmp_path_factory.mktemp("two")
    with helper(request.param, "faulty_workers", FAULTY=request.param):
        states = {"": trained(request.param, black, out, 2, "--precision", "float64")}
    states |= {fault: checkpoints.load(out / fault / epochs.CHECKPOINT) for fault in FAULTS}
    return request.param, states


@pytest.mark.numerical
def test_two_workers_are_one(single: dict[str, State], two: tuple[str, dict[str, State]]) -> None:
    framework, states = two
    assert [line["epoch"] for line in states[""].history] == [1, 2]
    assert {array.dtype for array in states[""].weights.values()} == {np.dtype("float64")}
    assert distance(states[""], single[framework]) < 1e-10
    losses = [line["train_loss"] for line in states[""].history]
    assert losses[0] != losses[1]  # it does learn


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_workers_shows(
    single: dict[str, State], two: tuple[str, dict[str, State]], fault: str
) -> None:
    framework, states = two
    assert distance(states[fault], single[framework]) > 1e-4


def test_batch_norms_are_of_a_workers_own_images(cifar: Path, tmp_path: Path) -> None:
    """As the help says: on images that differ, two workers are not one."""
    one, two = (
        trained("paddle", cifar, tmp_path / str(workers), workers, "--precision", "float64")
        for workers in (1, 2)
    )
    assert distance(one, two) > 1e-4


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_run_of_two_goes_on_to_the_bit(cifar: Path, tmp_path: Path, framework: str) -> None:
    plateau = ("--schedule", "plateau")  # whose rate asks for no number of epochs
    with helper(framework, "epoch_keepers", KEEPERS=framework):
        one = trained(framework, cifar, tmp_path / "whole", 2, *plateau)
    goes_on = ("--resume", str(tmp_path / "whole" / "epoch1.safetensors"))
    assert main(words(framework, cifar, tmp_path / "again", 2, *goes_on)) == 0
    other = checkpoints.load(tmp_path / "again" / epochs.CHECKPOINT)
    assert checkpoints.load(Path(goes_on[1])).epoch == 1
    for part in ("weights", "momentum"):
        for name, array in getattr(one, part).items():
            assert array.tobytes() == getattr(other, part)[name].tobytes(), name
    losses = [
        [(line["train_loss"], line["test_loss"]) for line in state.history]
        for state in (one, other)
    ]
    assert losses[0] == losses[1]
    lines = (tmp_path / "again" / epochs.LOG).read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_failed_worker_ends_all(cifar: Path, tmp_path: Path, capfd, framework: str) -> None:
    out = tmp_path / "out"
    # The decay of weights alone overflows float32 in the first step.
    wrong = words(framework, cifar, out, 2, *SETTINGS, "--rate", "1e38", "--weight-decay", "1e38")
    assert main(wrong) == 1
    assert "the loss is" in capfd.readouterr().err
    # What a training begins with, so that --resume has its settings; no epoch, and no lock.
    assert sorted(file.name for file in out.iterdir()) == [
        "last.safetensors",
        "weights.safetensors",
    ]
    assert checkpoints.load(out / "last.safetensors").epoch == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--workers", "4", "--batch", "7", "--limit", "17"], "last batch has 3 of 17 images"),
        (["--workers", "9", "--batch", "32", "--limit", "8"], "last batch has 8 of 8 images"),
        (["--workers", "81"], "last batch has 80 of 50000 images"),
    ],
)
def test_workers_without_images_end_with_2(cifar: Path, tmp_path: Path, capsys, more, said) -> None:
    wrong = ["--framework", "torch", "--data", str(cifar), "--out", str(tmp_path / "out"), *more]
    assert main(wrong) == 2
    assert said in capsys.readouterr().err


def test_a_batch_is_shared_without_rest() -> None:
    for count in (1, 5, 32, 80):
        for workers in (1, 2, 3, 7):
            taken = [
                np.arange(count)[batches.share(count, rank, workers)] for rank in range(workers)
            ]
            assert np.array_equal(np.concatenate(taken), np.arange(count))
            sizes = [len(part) for part in taken]
            assert max(sizes) - min(sizes) <= 1


def test_workers_see_one_process_images() -> None:
    random = np.random.default_rng(0)
    part = Cifar(random.integers(0, 256, (37, 3, 32, 32), dtype=np.uint8), np.arange(37) % 10)
    whole: list[Any] = list(batches.epoch(part, 16, 3, 1))
    shares: list[Any] = [list(batches.epoch(part, 16, 3, 1, rank, 3)) for rank in range(3)]
    for step, pair in enumerate(whole):
        for at, array in enumerate(pair):
            assert np.array_equal(np.concatenate([own[step][at] for own in shares]), array)


SLEEPER = """
import json, os, sys, time
from pathlib import Path
job = json.loads(Path(sys.argv[1]).read_text())
at = Path(job["told"])
at.with_suffix(".part").write_text(f"{os.getpid()} {sys.argv[1]}")
at.with_suffix(".part").rename(at)
time.sleep(600)
"""
PARENT = """
import sys
from training.loop import launch as process
process.MODULES["torch"] = "sleeper"
process.start("torch", {"how": {"threads": 1}, "told": sys.argv[1]})
"""


def test_sigterm_ends_the_framework_too(tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    told = tmp_path / "told"
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(told)], env={**os.environ, "PYTHONPATH": paths}
    )
    until = time.monotonic() + 60
    while not told.exists() and time.monotonic() < until:
        time.sleep(0.01)
    pid, job = told.read_text().split()
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(60) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
    assert not Path(job).exists()
