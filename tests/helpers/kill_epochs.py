"""Stops the end of an epoch at every step that it takes on the disk, and continues the training.

``kill_epochs.py FOLDER DATA BEFORE AFTER`` prints a JSON list, a row per step: what is in the
folder when the writing of the state after epoch AFTER was killed, over that after epoch BEFORE of
another training or nothing (-1), and what is there when ``--resume`` has begun. Every step runs in
a fork.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

import weight_port
from tests.helpers import kill_steps, trainings
from training import __main__ as command
from training import curves
from training.errors import CheckpointError
from training.loop import checkpoints, epochs, event_files


def write(out: Path, epoch: int, stop: int) -> int:
    """Write a state in a fork that is killed at a step; returns its status, 0 if it has ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 70
    try:
        steps = itertools.count()

        def before(call: str) -> None:
            # A kill at a write leaves the same temporary file, if shorter, as one at its fsync.
            if call != "write" and next(steps) == stop:
                os._exit(kill_steps.KILLED)

        state = trainings.state(epoch)
        kill_steps.patch(before)
        epochs.write(out, state)
        status = 0
    finally:
        os._exit(status)


def resume(out: Path, data: Path) -> int:
    """What the command does ahead of the first epoch that it trains; returns its status."""
    words = ["--framework", "torch", "--data", str(data), "--out", str(out), "--resume"]
    with contextlib.redirect_stdout(sys.stderr):
        return command.main(words)


def there(out: Path) -> dict[str, Any]:
    """The epochs of the files in the folder, and whether they are the checkpoint's."""
    try:
        state = checkpoints.load(out / epochs.CHECKPOINT)
    except CheckpointError:
        return {"epoch": None}
    log, weights = out / epochs.LOG, out / epochs.WEIGHTS
    held = weight_port.read(weights) if weights.exists() else {}
    return {
        "epoch": state.epoch,
        "weights": state.weights.keys() == held.keys()
        and all(np.array_equal(state.weights[name], held[name]) for name in held),
        "log": [json.loads(line) for line in log.read_text().splitlines()] == state.history
        if log.exists()
        else not state.history,
        "events": all(
            (out / name).read_bytes() == render(state.history)
            if (out / name).exists()
            else not state.history
            for name, render in event_files.FILES.items()
        ),
    }  # fmt: skip


def main(folder: Path, data: Path, before: int, after: int) -> None:
    """Stop at the first step, at the second, and so on, until there is none left."""
    drawn: list[int] = []
    command._start = lambda *_: 1  # type: ignore[assignment]
    curves.draw = lambda runs, _: [drawn.append(len(*runs.values()))]  # type: ignore
    rows: list[dict[str, Any]] = []
    for stop in itertools.count():
        out = folder / "out"
        out.mkdir()
        if before >= 0:
            epochs.write(out, trainings.state(before, seed=0 if before <= after else 1))
        status = write(out, after, stop)
        row = {"status": status, "killed": there(out)}
        drawn.clear()
        rows.append({**row, "resumed": resume(out, data), "then": there(out), "drawn": [*drawn]})
        shutil.rmtree(out)
        if status == 0:
            break
    print(json.dumps(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
