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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.experiments.train.rows import LABELS, name
from benchmarks.harness import frameworks, rounds
from benchmarks.harness.lasting import SECONDS, Lasting, Say, Step
from benchmarks.records import record
from parity.workers import launch
from training.loop import launch as process
from training.loop.epochs import LOG
from training.settings import DEFAULTS

WORKERS = {
    "torch": "benchmarks.experiments.train.worker_torch",
    "paddle": "benchmarks.experiments.train.worker_paddle",
}
LEAST_LOOP = 0.97  # of the bare loop's images per second
LEAST_FEED = 20.0  # the data path's images per second over the bare loop's
# Framework, precision, layout, threads (None: all that there are). Of each framework the first is
# what its other modes are held against.
Mode = tuple[str, str, str, int | None]
MODES: tuple[Mode, ...] = (
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


@dataclass
class Row(rounds.Row[Mode]):
    """A mode, and what came of it so far."""

    accuracies: list[dict[str, Any]] = field(default_factory=list)

    def labels(self) -> dict[str, Any]:
        """What tells the row from the others."""
        return dict(zip(LABELS, self.case, strict=True))

    def as_json(self) -> dict[str, Any]:
        """The mode's entry in the record."""
        return {**self.labels(), **self.outcome(), "accuracies": list(self.accuracies)}

    def restore(self, entry: Mapping[str, Any], key: str = "processes") -> None:
        """Take over what came of it so far, from its entry in a record."""
        super().restore(entry, key)
        self.accuracies = list(entry["accuracies"])


def describe(row: Row) -> str:
    """A row in a line of progress."""
    return name(row.labels())


def _how(row: Row, threads: int) -> dict[str, Any]:
    """A job's threads, precision and layout."""
    _, precision, layout, own = row.case
    last = layout == "NHWC"
    return {"threads": own or threads, "precision": precision, "channels_last": last}


def _process(row: Row, turn: int, options: Options, threads: int) -> str:
    """One process of a row. Raises WorkerError."""
    settings = {**DEFAULTS, "model": options.model, "batch": options.batch, "epochs": 1}
    settings |= {"seed": options.seed, "schedule": "plateau"}  # a constant rate, as the bare loop's
    framework, how = row.case[0], _how(row, threads)
    job: dict[str, Any] = {"framework": framework, "settings": settings, "how": how}
    job |= {"steps": options.steps, "repeats": options.repeats}
    variables: dict[str, Any] = {"threads": how["threads"], "extra": process.ALLOCATOR}
    python = frameworks.PYTHONS.get(framework)
    row.processes.append(launch.run_worker(WORKERS[framework], job, python=python, **variables))
    return "timed"


def _accuracy(row: Row, options: Options, threads: int, seed: int) -> dict[str, Any]:
    """A short training's last line, and the seed. Raises WorkerError."""
    settings = {**DEFAULTS, "model": options.model, "batch": options.batch, "seed": seed}
    settings |= {"epochs": options.epochs, "limit": options.limit, "schedule": "cosine"}
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        framework = row.case[0]
        job: dict[str, Any] = {"task": "train", "framework": framework, "settings": settings}
        job |= {"how": _how(row, threads), "resume": None, "out": folder}
        python = frameworks.PYTHONS.get(framework)
        if process.start(framework, {**job, "data": str(options.data)}, python):
            raise launch.WorkerError(f"{describe(row)}: the training failed; see above")
        line = json.loads(Path(folder, LOG).read_text().splitlines()[-1])
    return {"seed": seed, **{key: line[key] for key in ("test_accuracy", "train_loss")}}


def _train(row: Row, options: Options, threads: int, seed: int) -> str:
    """A training for a row's accuracies; returns what came of it in a few words."""
    if not row.error:
        try:
            row.accuracies.append(_accuracy(row, options, threads, seed))
        except launch.WorkerError as error:
            row.error = str(error)
    return record.reason(row.error) if row.error else f"{row.accuracies[-1]['test_accuracy']:.2%}"


def _accuracies(rows: Sequence[Row], options: Options, threads: int) -> list[Step]:
    """A step for each training; none without data."""
    if options.data is None:
        return []
    return [
        Step(
            f"{describe(row)}, seed {seed}: {options.epochs} epochs",
            partial(_train, row, options, threads, seed),
            SECONDS + _EPOCH * options.epochs,
        )
        for seed in range(options.seed, options.seed + options.seeds)
        for row in rows
    ]


_EPOCH = 60.0  # seconds, of a training on all of CIFAR-10 with two cores
_SECONDS = 40.0  # of a process that times three loops


def planned(options: Options) -> list[tuple[str, float]]:
    """Every row as it is called, with the seconds that one of its processes may take."""
    return [(describe(Row(mode)), _SECONDS) for mode in MODES]


def measure(options: Options, say: Say, lasting: Lasting | None = None) -> record.Record:
    """Measure; returns the record, of as much as ``lasting`` gives time for.

    Raises RunError where no framework can run, RecordError where it can't go on as asked.
    """
    lasting, threads = lasting or Lasting(), launch.available_threads()
    frameworks.reference_framework()  # nothing can run without one
    descriptions, errors = frameworks.ask(tuple(WORKERS), threads, say)
    context = record.context(descriptions, "cpu", threads, process.ALLOCATOR)
    rows = [Row(mode, errors.get(mode[0])) for mode in MODES]
    settings = {key: value for key, value in vars(options).items() if key != "data"}
    if options.data is None:
        settings |= {"epochs": 0, "limit": None, "seeds": 0}

    def snapshot() -> record.Record:
        return {
            "schema": record.version("train"),
            "kind": "train",
            "context": context,
            "settings": {**settings, "least_loop": LEAST_LOOP, "least_feed": LEAST_FEED},
            "rows": [row.as_json() for row in rows],
        }

    timed = partial(_process, options=options, threads=threads)
    every = rounds.steps(rows, options.rounds, timed, describe, seconds=lambda row: _SECONDS)
    every += _accuracies(rows, options, threads)
    lasting.begin(every, snapshot(), rows, "rows")
    return lasting.run(snapshot, say)
