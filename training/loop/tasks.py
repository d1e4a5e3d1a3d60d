"""The tasks of a framework's training process, and its command line: the job is a JSON file."""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np

import weight_port
from parity.workers.launch import leave_quickly
from training import sheet
from training.data import batches, cifar
from training.data.normalisations import Normalisation
from training.errors import TrainingError
from training.loop import checkpoints, epochs
from training.loop.epochs import Job
from training.loop.side import How, Make, Side
from weight_port import WeightPortError, terminal
from weight_port.conversion.convert import convert_detected


def score(side: Side, job: Job) -> None:
    """Save the logits of the test images, (N, 10) float32, with the weights of a file."""
    model = job["settings"]["model"]  # whose tensors may be another network's as well
    recognised = weight_port.recognise(job["weights"], architecture=model)
    side.put(convert_detected(recognised.tensors, "paddle1", recognised.detection), {})
    test = cifar.limited(sheet.load(Path(job["data"])), job["limit"])
    how = Normalisation(*(tuple(values) for values in job["normalisation"]))
    logits = [side.logits(images) for images, _ in batches.plain(test, epochs.EVALUATED, how)]
    np.save(job["out"], np.concatenate(logits))


def to_files(side: Side, job: Job) -> None:
    """Write a checkpoint as the framework's own files."""
    state = checkpoints.load(Path(job["checkpoint"]))
    side.save(Path(job["out"]), state.weights, state.momentum)


def from_files(side: Side, job: Job) -> None:
    """Write a checkpoint with the weights and buffers of the framework's own files."""
    weights, momentum = side.saved(Path(job["file"]))
    state = checkpoints.load(Path(job["checkpoint"]))
    checkpoints.save(Path(job["out"]), replace(state, weights=weights, momentum=momentum))


_ERRORS = (ArithmeticError, OSError, RuntimeError, TrainingError, ValueError, WeightPortError)
TASKS = {
    "train": epochs.run,
    "score": score,
    "export": to_files,
    "import": from_files,
}


def _end_with_command() -> None:
    """End this process as soon as the command that started it is gone, however that ended.

    It would train on in a folder that the next command takes. The command holds the other end of
    the pipe that is stdin here, of launchers' workers too, and writes nothing.
    """
    if not stat.S_ISFIFO(os.fstat(0).st_mode):
        return  # started by hand

    def wait() -> None:
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main(make: Make) -> int:
    """Do the job in the file that argv names; returns the exit status."""
    terminal.make_plain()
    _end_with_command()
    job = json.loads(Path(sys.argv[1]).read_text())
    try:
        TASKS[job["task"]](make(job["settings"], How(**job["how"])), job)
    except _ERRORS as error:
        terminal.say_error(f"training: {error}")
        return 1
    if job["how"].get("workers", 1) == 1:
        leave_quickly()
    return 0
