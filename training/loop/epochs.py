"""The epochs of a training, the same for both frameworks: steps, evaluation, checkpoint, log."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import weight_port
from parity import seeded
from training.data import batches, cifar
from training.data.cifar import CLASSES, Cifar
from training.loop import checkpoints, event_files, lock, schedules
from training.loop.checkpoints import State
from training.loop.side import Side
from weight_port import arch
from weight_port.storage import disk

CHECKPOINT, WEIGHTS, LOG = "last.safetensors", "weights.safetensors", "log.jsonl"
EVALUATED = 500  # images at a time
Job = dict[str, Any]


def draw(name: str, seed: int, num_classes: int) -> dict[str, np.ndarray]:
    """Float32 tensors of an architecture in the dialect paddle1, equal for equal seeds.

    Convolutions and the classifier: ``parity.seeded.initial_weight``. Batch norms: scale and
    variance 1, offset and mean 0.
    """
    random = np.random.default_rng(seed)

    def tensor(parameter: arch.Parameter) -> np.ndarray:
        drawn = seeded.initial_weight(parameter, random)
        one = parameter.role in ("scale", "variance")
        return np.full(parameter.shape, float(one)) if drawn is None else drawn

    parameters = arch.parameters(name, num_classes)
    return {parameter.name: tensor(parameter).astype(np.float32) for parameter in parameters}


def begin(settings: dict[str, Any]) -> State:
    """The state before the first epoch."""
    weights = draw(settings["model"], settings["seed"], len(CLASSES))
    return State(weights, {}, 0, schedules.begin(settings["rate"]), settings, [])


def loss_of(logits: np.ndarray, labels: np.ndarray) -> float:
    """The sum of the cross-entropies of logits (N, C) and labels (N,), in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(labels)), labels]
    return float((np.log(np.exp(shifted).sum(axis=1)) - chosen).sum())


def evaluate(side: Side, part: Cifar) -> tuple[float, int]:
    """The mean loss over a part of the data, and how many images are right, of all workers."""
    loss, right = 0.0, 0
    mine = batches.share(len(part.labels), side.rank, side.workers)
    for images, labels in batches.plain(Cifar(*(array[mine] for array in part)), EVALUATED):
        logits = side.logits(images)
        loss += loss_of(logits, labels)
        right += int((logits.argmax(axis=1) == labels).sum())
    loss, total = side.summed([loss, right])
    return loss / len(part.labels), int(total)


def _steps(
    side: Side, state: State, train: Cifar, number: int
) -> Iterator[tuple[float, int, int, float]]:
    """(loss, right, images, rate) of every step of the epoch after ``state``, of whole batches."""
    settings, count = state.settings, len(train.labels)
    batch, total = settings["batch"], -(-count // settings["batch"])
    drawn = batches.epoch(train, batch, settings["seed"], number, side.rank, side.workers)
    for step, (images, labels) in enumerate(drawn):
        done = (number + step / total) / settings["epochs"]
        rate = schedules.rate(settings["schedule"], state.schedule, done)
        whole = min(batch, count - step * batch)
        loss, right = side.step(images, labels, rate, whole)
        yield loss, right, whole, rate


def check_loss(number: int, loss: float, what: str) -> None:
    """Raises FloatingPointError where the loss of an epoch is no number that float32 holds."""
    if not abs(loss) <= np.finfo(np.float32).max:
        raise FloatingPointError(
            f"epoch {number}: {what} is {loss}: a smaller --rate may help; the checkpoint of the "
            "epoch before is kept"
        )


def train_epoch(side: Side, state: State, train: Cifar, framework: str) -> dict[str, Any]:
    """Take the steps of an epoch, with a progress bar; returns the training's part of a log line.

    Raises FloatingPointError where the loss is NaN or infinite.
    """
    from tqdm import tqdm

    settings, number = state.settings, state.epoch
    began, losses, right, images, last = time.perf_counter(), 0.0, 0, 0, 0.0
    title = f"{framework} {settings['model']} {number + 1}/{settings['epochs']}"
    count, silent = len(train.labels), side.rank > 0
    bar_to = sys.__stderr__  # a bar returns to the line's beginning, which the command's does not
    with tqdm(total=count, desc=title, unit="img", file=bar_to, disable=silent) as bar:
        for loss, correct, whole, rate in _steps(side, state, train, number):
            check_loss(number + 1, loss, "the loss")
            losses, right, images, last = (
                losses + loss * whole, right + correct, images + whole, rate
            )  # fmt: skip
            shares = {"loss": f"{losses / images:.3f}", "right": f"{right / images:.1%}"}
            bar.set_postfix(shares, refresh=False)
            bar.update(whole)
    spent = time.perf_counter() - began
    return {
        "rate": last,
        "train_loss": losses / images,
        "train_accuracy": right / images,
        "seconds": round(spent, 3),
        "images_per_second": round(images / spent, 1),
    }


def epoch(side: Side, state: State, train: Cifar, test: Cifar, framework: str) -> State:
    """The state after one more epoch, with its log line. Raises as ``train_epoch``."""
    trained = train_epoch(side, state, train, framework)
    side.average_statistics()
    test_loss, test_right = evaluate(side, test)
    check_loss(state.epoch + 1, test_loss, "the loss on the test images")
    line = {
        "epoch": state.epoch + 1,
        "framework": framework,
        **trained,
        "test_loss": test_loss,
        "test_accuracy": test_right / len(test.labels),
        "time": round(time.time(), 3),
    }
    return replace(
        state,
        weights=side.weights(),
        momentum=side.momentum(),
        epoch=state.epoch + 1,
        schedule=schedules.after(state.settings["schedule"], state.schedule, trained["train_loss"]),
        history=[*state.history, line],
    )


def write(out: Path, state: State) -> None:
    """Write the checkpoint, and then what follows from it: weights, log and event files.

    A run that is killed in between has the older of the latter, until a command that continues it
    writes all of them again, as each does first.
    """
    checkpoints.save(out / CHECKPOINT, state)
    about = {"dialect": "paddle1", "architecture": str(state.settings["model"])}
    weight_port.write(out / WEIGHTS, state.weights, force=True, metadata=about)
    if not state.history:
        for name in (LOG, *event_files.FILES):
            (out / name).unlink(missing_ok=True)  # another training's, which this one replaces
        return
    lines = "".join(json.dumps(line) + "\n" for line in state.history)
    disk.write_text(out / LOG, lines, force=True)
    event_files.write(out, state.history)


def run(side: Side, job: Job) -> State:
    """Train every epoch that is left; the first worker writes a checkpoint after each.

    A job without a checkpoint to resume begins anew. Raises TrainingError where another training's
    worker writes in the folder.
    """
    out = Path(job["out"])
    state = checkpoints.load(Path(job["resume"])) if job["resume"] else begin(job["settings"])
    side.put(state.weights, state.momentum)
    limit = state.settings["limit"]
    train, test = (cifar.limited(part, limit) for part in cifar.parts(Path(job["data"])))
    with lock.held_by_worker(out) if side.rank == 0 else contextlib.nullcontext():
        while state.epoch < state.settings["epochs"]:
            state = epoch(side, state, train, test, job["framework"])
            if side.rank == 0:
                write(out, state)
    return state
