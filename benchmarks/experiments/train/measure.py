"""``python -m benchmarks train``: a training's steps beside a bare loop's, and what modes bring.

Every row is a framework in a mode; its processes are interleaved with those of the other rows over
the rounds. Within a process the training's loop, a bare loop of the same framework with the same
network on tensors in memory, and the data path alone take turns, so their ratios share what a
process has of its own. With images to train on, every row is also trained for a few epochs with
the same seeds: what a mode does to the accuracy. This process imports neither framework.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.experiments.train.rows import LABELS, name
from benchmarks.grid.cells import abba
from benchmarks.harness import frameworks
from benchmarks.records import record
from parity.workers import launch
from training.loop import launch as process
from training.loop.epochs import LOG
from training.settings import DEFAULTS

Say = Callable[[str], None]
WORKERS = {
    "torch": "benchmarks.experiments.train.worker_torch",
    "paddle": "benchmarks.experiments.train.worker_paddle",
}
LEAST_LOOP = 0.97  # of the bare loop's images per second
LEAST_FEED = 20.0  # the data path's images per second over the bare loop's
# Framework, precision, layout, threads (None: all that there are). Of each framework the first is
# what its other modes are held against.
MODES: tuple[tuple[str, str, str, int | None], ...] = (
    *(
        (framework, precision, layout, None)
        for framework, precisions in process.PRECISIONS.items()
        for precision in precisions
        if precision != "float64"  # for comparisons, not for speed
        for layout in process.LAYOUTS[framework]
    ),
    # Its eager convolution takes the images one by one to a matrix product (im2col, then MKL's),
    # too small to be shared: with two threads it was as fast as with one, or half that.
    ("paddle", "float32", "NCHW", 1),
)


@dataclass(frozen=True)
class Options:
    """What a run measures, and how often; ``data`` None: no accuracies."""

    model: str
    batch: int
    steps: int  # in a block that is timed
    repeats: int  # blocks of each kind in a process
    rounds: int
    seed: int
    data: Path | None
    epochs: int  # these three are of the accuracies
    limit: int | None
    seeds: int


def _rows() -> list[dict[str, Any]]:
    return [
        {**dict(zip(LABELS, mode, strict=True)), "error": None, "processes": [], "accuracies": []}
        for mode in MODES
    ]


def _how(row: dict[str, Any], threads: int) -> dict[str, Any]:
    last = row["layout"] == "NHWC"
    count = row["threads"] or threads
    return {"threads": count, "precision": row["precision"], "channels_last": last}


def _speeds(rows: list[dict[str, Any]], options: Options, threads: int, say: Say) -> None:
    settings = {**DEFAULTS, "model": options.model, "batch": options.batch, "epochs": 1}
    settings |= {"seed": options.seed, "schedule": "plateau"}  # a constant rate, as the bare loop's
    order = list(abba(len(rows), options.rounds))
    for done, (_, index) in enumerate(order, start=1):
        row = rows[index]
        how = _how(row, threads)
        job = {"framework": row["framework"], "settings": settings, "how": how}
        job |= {"steps": options.steps, "repeats": options.repeats}
        try:
            if not row["error"]:
                found = launch.run_worker(
                    WORKERS[row["framework"]], job, threads=how["threads"], extra=process.ALLOCATOR
                )
                row["processes"].append(found)
        except launch.WorkerError as error:
            row["error"] = str(error)
        say(f"[{done}/{len(order)}] {name(row)}: {row['error'] or 'timed'}")


def _accuracy(row: dict[str, Any], options: Options, threads: int, seed: int) -> dict[str, Any]:
    """A short training's last line, and the seed. Raises WorkerError."""
    settings = {**DEFAULTS, "model": options.model, "batch": options.batch, "seed": seed}
    settings |= {"epochs": options.epochs, "limit": options.limit, "schedule": "cosine"}
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        job = {"task": "train", "framework": row["framework"], "settings": settings}
        job |= {"how": _how(row, threads), "resume": None, "out": folder}
        if process.start(row["framework"], {**job, "data": str(options.data)}):
            raise launch.WorkerError(f"{name(row)}: the training failed; see above")
        line = json.loads(Path(folder, LOG).read_text().splitlines()[-1])
    return {"seed": seed, **{key: line[key] for key in ("test_accuracy", "train_loss")}}


def _accuracies(rows: list[dict[str, Any]], options: Options, threads: int, say: Say) -> None:
    for seed in range(options.seed, options.seed + options.seeds):
        for row in rows:
            if row["error"]:
                continue
            try:
                row["accuracies"].append(_accuracy(row, options, threads, seed))
                say(f"{name(row)}, seed {seed}: {row['accuracies'][-1]['test_accuracy']:.2%}")
            except launch.WorkerError as error:
                row["error"] = str(error)


def measure(options: Options, say: Say) -> record.Record:
    """Measure; returns the record. Raises RunError where a framework can't run."""
    threads = launch.available_threads()
    said, errors = frameworks.describe(tuple(WORKERS), threads)
    if errors:
        raise frameworks.RunError("; ".join(errors.values()))
    rows = _rows()
    _speeds(rows, options, threads, say)
    if options.data is not None:
        _accuracies(rows, options, threads, say)
    settings = {key: value for key, value in vars(options).items() if key != "data"}
    if options.data is None:
        settings |= {"epochs": 0, "limit": None, "seeds": 0}
    return {
        "schema": record.version("train"),
        "kind": "train",
        "context": record.context(said, "cpu", threads, process.ALLOCATOR),
        "settings": {**settings, "least_loop": LEAST_LOOP, "least_feed": LEAST_FEED},
        "rows": rows,
    }
