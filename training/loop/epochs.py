"""The training itself, the same for both frameworks: epochs, evaluation, checkpoints, log."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import weight_port
from parity import seeded
from parity.workers.launch import leave_quickly
from training import sheet
from training.data import batches, cifar
from training.data.cifar import CLASSES, Cifar
from training.errors import TrainingError
from training.loop import checkpoints, event_files, schedules
from training.loop.checkpoints import State
from training.loop.side import How, Side
from weight_port import WeightPortError, arch
from weight_port.conversion.convert import convert_detected
from weight_port.storage import disk

CHECKPOINT, WEIGHTS, LOG = "last.safetensors", "weights.safetensors", "log.jsonl"
_EVALUATED = 500  # images at a time
Job = dict[str, Any]
Make = Callable[[dict[str, Any], How], Side]


def begin(settings: dict[str, Any]) -> State:
    """Before the first epoch."""
    weights = draw(settings["model"], settings["seed"], len(CLASSES))
    return State(weights, {}, 0, schedules.begin(settings["rate"]), settings, [])


def loss_of(logits: np.ndarray, labels: np.ndarray) -> float:
    """Sum of the cross-entropies, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(labels)), labels]
    return float((np.log(np.exp(shifted).sum(axis=1)) - chosen).sum())


def evaluate(side: Side, part: Cifar) -> tuple[float, int]:
    """The mean loss over a part of the data, and how many images are right; workers share it."""
    loss, right = 0.0, 0
    mine = batches.share(len(part.labels), side.rank, side.workers)
    for images, labels in batches.plain(Cifar(*(array[mine] for array in part)), _EVALUATED):
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
    made = batches.epoch(train, batch, settings["seed"], number, side.rank, side.workers)
    for step, (images, labels) in enumerate(made):
        done = (number + step / total) / settings["epochs"]
        rate = schedules.rate(settings["schedule"], state.schedule, done)
        whole = min(batch, count - step * batch)
        loss, right = side.step(images, labels, rate, whole)
        yield loss, right, whole, rate


def train_epoch(side: Side, state: State, train: Cifar, framework: str) -> dict[str, Any]:
    """The steps of an epoch, shown as they go; what they say of it.

    Raises FloatingPointError where the loss is no number any more.
    """
    from tqdm import tqdm

    settings, number = state.settings, state.epoch
    began, losses, right, seen, last = time.perf_counter(), 0.0, 0, 0, 0.0
    title = f"{framework} {settings['model']} {number + 1}/{settings['epochs']}"
    count, silent = len(train.labels), side.rank > 0
    with tqdm(total=count, desc=title, unit="img", file=sys.stderr, disable=silent) as bar:
        for loss, correct, whole, rate in _steps(side, state, train, number):
            if not np.isfinite(loss):
                raise FloatingPointError(
                    f"epoch {number + 1}: the loss is {loss}: a smaller --rate may help; the "
                    "checkpoint of the epoch before is kept"
                )
            losses, right, seen, last = losses + loss * whole, right + correct, seen + whole, rate
            bar.set_postfix(loss=f"{losses / seen:.3f}", right=f"{right / seen:.1%}", refresh=False)
            bar.update(whole)
    spent = time.perf_counter() - began
    return {
        "rate": last,
        "train_loss": losses / seen,
        "train_accuracy": right / seen,
        "seconds": round(spent, 3),
        "images_per_second": round(seen / spent, 1),
    }


def epoch(side: Side, state: State, train: Cifar, test: Cifar, framework: str) -> State:
    """One more epoch, and what the test images say of it. Raises as ``train_epoch``."""
    found = train_epoch(side, state, train, framework)
    side.average_statistics()
    test_loss, test_right = evaluate(side, test)
    line = {
        "epoch": state.epoch + 1,
        "framework": framework,
        **found,
        "test_loss": test_loss,
        "test_accuracy": test_right / len(test.labels),
        "time": round(time.time(), 3),
    }
    return replace(
        state,
        weights=side.weights(),
        momentum=side.momentum(),
        epoch=state.epoch + 1,
        schedule=schedules.after(state.settings["schedule"], state.schedule, found["train_loss"]),
        history=[*state.history, line],
    )


def write(out: Path, state: State) -> None:
    """The checkpoint first; killed then, a run has the weights and the log of the epoch before."""
    checkpoints.save(out / CHECKPOINT, state)
    named = {"dialect": "paddle1", "architecture": str(state.settings["model"])}
    weight_port.write(out / WEIGHTS, state.weights, force=True, metadata=named)
    lines = "".join(json.dumps(line) + "\n" for line in state.history)
    with disk.new_file(out / LOG, force=True) as stream:
        stream.write(lines.encode())
    event_files.write(out, state.history)


def limited(part: Cifar, count: int | None) -> Cifar:
    """The first ``count`` images; all for None."""
    return Cifar(part.images[:count], part.labels[:count])


def run(side: Side, job: Job) -> State:
    """Every epoch that is left; each ends with a checkpoint, which the first worker writes."""
    state = checkpoints.load(Path(job["resume"])) if job["resume"] else begin(job["settings"])
    side.put(state.weights, state.momentum)
    found, limit = cifar.parts(Path(job["data"])), state.settings["limit"]
    train, test = (limited(part, limit) for part in found)
    while state.epoch < state.settings["epochs"]:
        state = epoch(side, state, train, test, job["framework"])
        if side.rank == 0:
            write(Path(job["out"]), state)
    return state


def score(side: Side, job: Job) -> None:
    """Save the logits of the test images, (N, 10) float32, by weights that stand in a file."""
    model = job["settings"]["model"]  # its twins' tensors too
    recognised = weight_port.recognise(job["weights"], architecture=model)
    side.put(convert_detected(recognised.tensors, "paddle1", recognised.detection), {})
    test = limited(sheet.load(Path(job["data"])), job["limit"])
    found = [side.logits(images) for images, _ in batches.plain(test, _EVALUATED)]
    np.save(job["out"], np.concatenate(found))


def to_files(side: Side, job: dict[str, Any]) -> None:
    """In the framework's process: write its files."""
    state = checkpoints.load(Path(job["checkpoint"]))
    side.save(Path(job["out"]), state.weights, state.momentum)


def from_files(side: Side, job: dict[str, Any]) -> None:
    """In the framework's process: a checkpoint with the weights and buffers of its files."""
    weights, momentum = side.saved(Path(job["file"]))
    state = checkpoints.load(Path(job["checkpoint"]))
    checkpoints.save(Path(job["out"]), replace(state, weights=weights, momentum=momentum))


_ERRORS = (ArithmeticError, OSError, RuntimeError, TrainingError, ValueError, WeightPortError)
TASKS = {
    "train": run,
    "score": score,
    "export": to_files,
    "import": from_files,
}


def main(make: Make) -> int:
    """A framework's process: the job is a JSON file, named by argv."""
    job = json.loads(Path(sys.argv[1]).read_text())
    try:
        TASKS[job["task"]](make(job["settings"], How(**job["how"])), job)
    except _ERRORS as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    if job["how"].get("workers", 1) == 1:
        leave_quickly()
    return 0


def draw(name: str, seed: int, num_classes: int) -> dict[str, np.ndarray]:
    """Float32 tensors of an architecture in the dialect paddle1, equal for equal seeds.

    Convolutions and the classifier: ``parity.seeded.start``. Batch norms: scale and variance 1,
    offset and mean 0.
    """
    random = np.random.default_rng(seed)

    def tensor(parameter: arch.Parameter) -> np.ndarray:
        drawn = seeded.start(parameter, random)
        one = parameter.role in ("scale", "variance")
        return np.full(parameter.shape, float(one)) if drawn is None else drawn

    found = arch.parameters(name, num_classes)
    return {parameter.name: tensor(parameter).astype(np.float32) for parameter in found}
