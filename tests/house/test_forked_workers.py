"""Forked workers are what they stand in for: to the bit, to the exit status, to the environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weight_port
from parity import seeded
from parity.workers import launch
from tests import ROOT
from tests.helpers import forked_workers

WORKER = """
import json, os, sys, threading, time
from pathlib import Path
job = json.loads(Path(sys.argv[1]).read_text())
if job["how"] == "sleep":
    Path(job["told"]).write_text("here")
    time.sleep(600)
if job["how"] == "text":
    raise SystemExit("in words")
if job["how"] == "error":
    1 / 0
if job["how"] == "signal":
    os.kill(os.getpid(), 11)
said = {"main": __name__, "argv": len(sys.argv), "folder": os.getcwd()}
said |= {"path": sys.path.index(os.getcwd()) > sys.path.index(job["suite"])}
said |= {"MINE": os.environ.get("MINE"), "threads": threading.active_count()}
said |= {"parent": os.getppid(), "before": "torch" in sys.modules}
Path(sys.argv[2]).write_text(json.dumps(said))
"""


@pytest.fixture(params=[forked_workers.Subprocess, lambda: subprocess], ids=["forked", "real"])
def starter(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Any]:
    """In turn what starts forks and what starts processes, in ``launch``; a worker is there."""
    (tmp_path / "odd_worker_torch.py").write_text(WORKER)
    monkeypatch.chdir(tmp_path)
    made = request.param()
    monkeypatch.setattr(launch, "subprocess", made)
    # In place of a framework, which takes seconds to import.
    monkeypatch.setattr(forked_workers, "PRELOADED", {"torch": "wave"})
    yield made
    if made is not subprocess:
        made.close()


def run(how: str, **more: Any) -> dict[str, Any]:
    return launch.run_worker("odd_worker_torch", {"how": how, "suite": str(ROOT)}, **more)


def test_a_worker_has_its_folder_arguments_and_environment(starter: Any, tmp_path: Path) -> None:
    for value in ("1", "2", "1"):
        said = run("tell", extra={"MINE": value})
        assert (said.pop("parent") == os.getpid()) is (starter is subprocess)
        assert said == {
            "main": "__main__", "argv": 3, "folder": str(tmp_path), "path": True,
            "MINE": value, "threads": 1, "before": False,
        }  # fmt: skip


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("text", "exit status 1\nin words"),
        ("error", "ZeroDivisionError: division by zero"),
        ("signal", "exit status -11"),
    ],
)
def test_a_worker_that_fails_says_how(starter: Any, how: str, said: str) -> None:
    for _ in range(2):  # and the next one is there again
        with pytest.raises(launch.WorkerError) as raised:
            run(how)
        assert said in str(raised.value)
    assert run("tell")["threads"] == 1


def test_a_worker_is_killed_at_its_time_limit(starter: Any, tmp_path: Path) -> None:
    job = {"how": "sleep", "told": str(tmp_path / "told")}
    with launch.Worker("odd_worker_torch", job) as worker:
        while not (tmp_path / "told").exists():
            time.sleep(0.01)
        assert not worker.failed()
        with pytest.raises(launch.WorkerError, match="no result after 0 s"):
            worker.result(0.01)
        pid = worker._process.pid
    assert worker._process.returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_other_commands_are_processes() -> None:
    forks = forked_workers.Subprocess()
    command = [sys.executable, "-W", "ignore", "-m", "json.tool", os.devnull]
    done = forks.Popen(command, env=dict(os.environ), stderr=subprocess.DEVNULL)
    assert isinstance(done, subprocess.Popen)
    assert done.wait() == 1
    assert not forks._servers


@pytest.mark.parametrize("framework", forked_workers.FRAMEWORKS)
def test_a_forks_numbers_are_a_processes_to_the_bit(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    same_bits: Callable[..., None],
    framework: str,
) -> None:
    batch, suffix = np.random.default_rng(0).random((2, 3, 64, 64)), seeded.SUFFIX[framework]
    for name, started in (("forked", launch.subprocess), ("real", subprocess)):
        monkeypatch.setattr(launch, "subprocess", started)
        out = tmp_path / f"{name}{suffix}"
        seeded.make("resnet18", batch.astype(np.float32), out, framework=framework)
    same_bits(*(weight_port.read(tmp_path / f"{name}{suffix}") for name in ("forked", "real")))
