"""One training at a time in a folder, and none that a dead one holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from training.errors import TrainingError
from training.loop import lock

HOLDS = """
import sys, time
from pathlib import Path
from training.loop import lock
with getattr(lock, sys.argv[2])(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(folder: Path, how: str) -> subprocess.Popen[str]:
    """A process that has the folder's lock."""
    command = [sys.executable, "-c", HOLDS, str(folder), how]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    with holder(tmp_path, "held") as first:
        with (
            pytest.raises(TrainingError, match=rf"process {first.pid} on .* trains there now"),
            lock.held(tmp_path),
        ):
            pytest.fail("both hold it")
        assert first.poll() is None
        first.kill()
    assert (tmp_path / lock.FILE).exists()  # as a kill leaves it
    with lock.held(tmp_path), lock.held_by_worker(tmp_path):
        assert (tmp_path / lock.FILE).exists()
    assert not list(tmp_path.iterdir())


def test_a_worker_that_outlives_its_command_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_PATIENCE", 0.2)
    with holder(tmp_path, "held_by_worker") as worker:
        with (
            pytest.raises(TrainingError, match=r"a worker whose command has ended trains there"),
            lock.held(tmp_path),
        ):
            pytest.fail("it doesn't wait")
        with (
            pytest.raises(TrainingError, match=r"a worker of another training"),
            lock.held_by_worker(tmp_path),
        ):
            pytest.fail("two workers")
        worker.kill()
    with lock.held(tmp_path):
        assert (tmp_path / lock.FILE).exists()


def test_an_error_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyError), lock.held(tmp_path):
        raise KeyError
    assert not list(tmp_path.iterdir())
