"""``python -m benchmarks latency MODEL``: how long queries wait for their answers, in scenarios.

A fresh process per row and round, forward and backward by turns, each compared with the float64
reference before a query is counted. This process imports neither framework.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.latency.scenarios import SCENARIOS
from benchmarks.grid.cells import Cell, abba, describe_cell, grid, runs_on
from benchmarks.harness import frameworks
from benchmarks.harness.inputs import Files, images, make_files, make_weights
from benchmarks.records import record
from parity.workers.launch import WorkerError

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What a run measures; ``device`` is auto, cpu or gpu."""

    model: str
    scenarios: tuple[str, ...]
    implementations: tuple[str, ...]
    modes: tuple[str, ...]
    batches: tuple[int, ...]  # of the offline scenario
    loads: tuple[float, ...]  # of the server scenario: shares of the capacity
    rates: tuple[float, ...]  # of the server scenario: queries per second, the same for all rows
    queries: int  # of each process; images, of the offline scenario
    rounds: int
    size: int  # height and width of the images
    threads: int
    seed: int
    device: str


@dataclass(frozen=True)
class Asked:
    """What one row runs."""

    scenario: str
    load: float | None
    rate: float | None
    cell: Cell

    @property
    def labels(self) -> dict[str, Any]:
        """What tells a row from the others."""
        own = {"scenario": self.scenario, "load": self.load, "rate": self.rate}
        return {**own, **asdict(self.cell)}


def asked(options: Options) -> list[Asked]:
    """Every row; what will be compared is side by side, so close in time."""
    found = []
    for name in options.scenarios:
        batch = SCENARIOS[name].batch
        cells = grid(
            (options.model,),
            (batch,) if batch else options.batches,
            options.implementations,
            options.size,
            (options.threads,),
            options.modes,
        )
        offers: list[tuple[float | None, float | None]] = [(None, None)]
        if name == "server":
            offers = [(load, None) for load in options.loads]
            offers += [(None, rate) for rate in options.rates]
        found += [Asked(name, *offer, cell) for offer in offers for cell in cells]
    return found


def _prepare(
    options: Options, batches: set[int], reference: str, folder: Path, say: Say
) -> dict[int, Files]:
    """Per batch what its rows' jobs name. Raises WorkerError."""
    start = partial(frameworks.start, reference, threads=options.threads)
    say(f"{options.model}: seeded weights, calibrated in {reference}")
    weights = make_weights(folder, options.model, options.size, options.seed, reference)
    found = {}
    for batch in sorted(batches):
        say(f"{options.model}: float64 reference for batch {batch}")
        # Another seed than the calibration's: not the images that set the statistics.
        inputs = images(batch, options.size, options.seed + 1)
        found[batch] = make_files(folder, weights, inputs, start)
    return found


def _row(one: Asked, device: str, errors: dict[str, str]) -> dict[str, Any]:
    cell = one.cell
    error = errors.get(cell.framework)
    if not error and not runs_on(cell, device):
        error = f"{cell.mode} does not exist on a {device}"
    return {**one.labels, "error": error, "processes": []}


def _measure(row: dict[str, Any], one: Asked, turn: int, job: dict[str, Any]) -> None:
    """One process of a row; a failure becomes its error."""
    try:
        result = frameworks.start(one.cell.framework, "latency", **job, **one.labels, round=turn)
    except WorkerError as error:
        row["error"] = str(error)
        return
    row["processes"].append({"round": turn, **result})
    row["error"] = result["parity"]["error"]


def _outcome(row: dict[str, Any]) -> str:
    """A finished process in a few words."""
    if row["error"]:
        return str(row["error"].strip().splitlines()[-1])
    found = row["processes"][-1]["queries"]
    latencies = np.subtract(found["ended_ns"], found["scheduled_ns"])
    return f"{len(latencies)} queries, median {np.median(latencies) / 1e6:.1f} ms"


def measure(options: Options, say: Say) -> record.Record:
    """Measure; returns the record. Raises RunError or WorkerError where nothing can run."""
    reference = frameworks.reference_framework()
    wanted = asked(options)
    needed = {one.cell.framework for one in wanted}
    said, errors = frameworks.describe(needed | {reference}, options.threads)
    mine = {framework: said[framework] for framework in said if framework in needed}
    device = frameworks.choose_device(options.device, mine, say)
    extra = frameworks.extra_environment(options.threads)
    context = record.context(said, device, options.threads, extra)
    rows = [_row(one, device, errors) for one in wanted]
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as name:
        batches = {one.cell.batch for one in wanted}
        files = _prepare(options, batches, reference, Path(name), say)
        total = len(rows) * options.rounds
        for done, (turn, index) in enumerate(abba(len(rows), options.rounds), start=1):
            row, one = rows[index], wanted[index]
            job = {**asdict(files[one.cell.batch]), "queries": options.queries}
            if not row["error"]:
                _measure(row, one, turn, {**job, "seed": options.seed, "device": device})
            load = f" at {one.load:.0%}" if one.load else f" at {one.rate:g}/s" if one.rate else ""
            say(
                f"[{done}/{total}] {one.scenario}{load}, {describe_cell(one.cell)}: {_outcome(row)}"
            )
    # Lists, as a record read from its file has them.
    listed = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(options).items()}
    settings = {**listed, "device": device}
    return {
        "schema": record.version("latency"),
        "kind": "latency",
        "context": context,
        "settings": settings,
        "rows": rows,
    }
