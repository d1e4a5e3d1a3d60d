"""Killed at any moment, or out of disk, `convert` leaves the old destination or the new one."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import weight_port
from tests import ROOT
from tests.helpers.kill_steps import KILLED, TEMPORARY, _text, content

DESTINATIONS = ["x.npz", "folder"]
OLD = {"old": np.ones(3, np.float32)}
NEW = {f"w{n}": np.full(50, n, np.float32) for n in range(2)}
LARGE = {f"w{n}": np.full(20_000, n, np.float32) for n in range(150)}


def prepared(folder: Path, name: str, tensors: dict[str, np.ndarray]) -> tuple[Path, Path, object]:
    """(source, destination with other weights in it, what is there after a conversion)."""
    source, destination = folder / "source.safetensors", folder / "out" / name
    destination.parent.mkdir()
    weight_port.write(source, tensors)
    weight_port.convert_file(source, destination, "raw")
    new = content(destination)
    weight_port.write(destination, OLD, force=True)
    return source, destination, new


def stopped(tmp_path: Path, name: str, mode: str, how: str) -> tuple[list[dict], str, str]:
    """(what was there after each step, the new destination's digest, standard error)."""
    source, destination, new = prepared(tmp_path, name, NEW)
    command = [
        sys.executable,
        ROOT / "tests" / "helpers" / "kill_steps.py",
        source,
        destination,
        mode,
        how,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    rows = json.loads(done.stdout)
    assert rows[-1] == {"status": 0, "there": _text(new), "left": 0, "old is left": False}
    return rows[:-1], _text(new), done.stderr


@pytest.mark.parametrize("name", DESTINATIONS)
def test_killed_at_every_step_the_old_or_the_new_is_there(tmp_path, name: str) -> None:
    rows, new, _ = stopped(tmp_path, name, "kill", "exchange")
    assert {row["status"] for row in rows} == {KILLED}
    assert len(rows) > 8
    there = [row["there"] for row in rows]
    change = there.index(new)  # the step after the one that put it there
    assert there == ["old"] * change + [new] * (len(rows) - change)
    assert all(row["left"] <= 1 for row in rows)


def test_killed_between_two_renames_nothing_is_lost(tmp_path) -> None:
    """Where two folders can't change places in one step."""
    rows, new, _ = stopped(tmp_path, "folder", "kill", "renames")
    assert {row["there"] for row in rows} == {"old", None, new}
    absent = [row for row in rows if row["there"] is None]
    assert absent == [{"status": KILLED, "there": None, "left": 2, "old is left": True}]


def test_a_writer_in_place_is_seen(tmp_path) -> None:
    rows, new, _ = stopped(tmp_path, "x.npz", "kill", "in-place")
    assert {row["there"] for row in rows} - {"old", new}


@pytest.mark.parametrize(
    ("name", "how"), [("x.npz", "exchange"), ("folder", "exchange"), ("folder", "renames")]
)
def test_a_disk_full_at_every_step_is_an_error_and_leaves_nothing(tmp_path, name, how) -> None:
    rows, new, said = stopped(tmp_path, name, "full", how)
    assert len(rows) > 5
    for row in rows:
        assert (row["status"], row["left"]) == (2, 0)
        assert row["there"] in ("old", new)
    # The last step is on the folder's own entry: the new destination is complete by then.
    assert [row["there"] for row in rows[:-1]] == ["old"] * (len(rows) - 1)
    lines = said.splitlines()
    assert len(lines) == len(rows)
    assert all("can't be written: " + os.strerror(errno.ENOSPC) in line for line in lines)


@pytest.mark.parametrize("name", ["x.pth", "folder"])
def test_a_real_conversion_killed_at_random_points(tmp_path, name: str) -> None:
    source, destination, new = prepared(tmp_path, name, LARGE)
    command = [sys.executable, "-m", "weight_port", "convert", str(source), str(destination)]
    old, points, killed = content(destination), random.Random(0), 0
    for wait in [points.uniform(0, 0.3) for _ in range(3)] + [None] * 9:
        process = subprocess.Popen(
            [*command, "--to", "raw", "--force"], cwd=ROOT, stdout=subprocess.DEVNULL
        )
        if wait is None:  # at a moment of the writing
            while process.poll() is None and not any(destination.parent.glob(TEMPORARY)):
                time.sleep(0.0005)
            wait = points.uniform(0, 0.05)
        time.sleep(wait)
        process.kill()
        process.wait()
        now = content(destination)
        assert now in (old, new)
        left = [path for path in destination.parent.iterdir() if path != destination]
        assert all(path.match(TEMPORARY) for path in left)
        killed += len(left)
        for path in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if now == new:
            weight_port.write(destination, OLD, force=True)
    assert killed, "none was killed while it wrote"
