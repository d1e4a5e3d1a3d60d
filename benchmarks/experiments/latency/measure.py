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
from benchmarks.grid.cells import Cell, describe_cell, grid, runs_on
from benchmarks.harness import frameworks, rounds
from benchmarks.harness.inputs import Files, images, make_files, make_weights
from benchmarks.harness.lasting import SECONDS, Lasting, Say, heartbeat
from benchmarks.records import record


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
class Case:
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


Row = rounds.Row[Case]


def cases(options: Options) -> list[Case]:
    """A case for each row; what will be compared is side by side, so close in time."""
    chosen = []
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
        chosen += [Case(name, *offer, cell) for offer in offers for cell in cells]
    return chosen


def _prepare(
    options: Options, batches: set[int], reference: str, folder: Path, say: Say
) -> dict[int, Files]:
    """Per batch what its rows' jobs name. Raises WorkerError."""
    start = partial(frameworks.start, reference, threads=options.threads)
    say(f"{options.model}: seeded weights, calibrated in {reference}")
    weights = make_weights(folder, options.model, options.size, options.seed, reference)
    files = {}
    for batch in sorted(batches):
        say(f"{options.model}: float64 reference for batch {batch}")
        # Another seed than the calibration's: not the images that set the statistics.
        inputs = images(batch, options.size, options.seed + 1)
        files[batch] = make_files(folder, weights, inputs, start)
    return files


def _row(case: Case, device: str, errors: dict[str, str]) -> Row:
    """A case's row, with an error where it can't run on the device or its framework can't."""
    error = errors.get(case.cell.framework)
    if not error and not runs_on(case.cell, device):
        error = f"{case.cell.mode} does not exist on a {device}"
    return Row(case, error)


def _process(row: Row, turn: int, job: Callable[[Case], dict[str, Any]]) -> str:
    """One process of a row. Raises WorkerError."""
    case = row.case
    labels = {**job(case), **case.labels, "round": turn}
    result = frameworks.start(case.cell.framework, "latency", **labels)
    row.add(turn, result)
    if row.error:
        return ""
    latencies = np.subtract(result["queries"]["ended_ns"], result["queries"]["scheduled_ns"])
    return f"{len(latencies)} queries, median {np.median(latencies) / 1e6:.1f} ms"


def _name(case: Case) -> str:
    """A row in a line of progress."""
    load = f" at {case.load:.0%}" if case.load else f" at {case.rate:g}/s" if case.rate else ""
    return f"{case.scenario}{load}, {describe_cell(case.cell)}"


def planned(options: Options) -> list[tuple[str, float]]:
    """Every row as it is called, with the seconds that one of its processes may take."""
    return [(_name(case), _expected(case, options)) for case in cases(options)]


def _expected(case: Case, options: Options) -> float:
    """Seconds: a framework's import, and a tenth of a second for each query."""
    return SECONDS + 0.1 * max(options.queries, case.cell.batch)


def measure(options: Options, say: Say, lasting: Lasting | None = None) -> record.Record:
    """Measure; returns the record, of as much as ``lasting`` gives time for.

    Raises RunError or WorkerError where nothing can run, RecordError where it can't go on.
    """
    lasting = lasting or Lasting()
    reference = frameworks.reference_framework()
    chosen = cases(options)
    needed = {case.cell.framework for case in chosen}
    descriptions, errors = frameworks.ask(needed | {reference}, options.threads, say)
    timed = {name: described for name, described in descriptions.items() if name in needed}
    device = frameworks.choose_device(options.device, timed, say)
    extra = frameworks.extra_environment(options.threads)
    context = record.context(descriptions, device, options.threads, extra)
    rows = [_row(case, device, errors) for case in chosen]
    files: dict[int, Files] = {}

    def snapshot() -> record.Record:
        return {
            "schema": record.version("latency"),
            "kind": "latency",
            "context": context,
            "settings": {**_as_lists(asdict(options)), "device": device},
            "rows": [{**row.case.labels, **row.outcome()} for row in rows],
        }

    def job(case: Case) -> dict[str, Any]:
        paths = asdict(files[case.cell.batch])
        return {**paths, "queries": options.queries, "seed": options.seed, "device": device}

    steps = rounds.steps(
        rows,
        options.rounds,
        partial(_process, job=job),
        lambda row: _name(row.case),
        seconds=lambda row: _expected(row.case, options),
    )
    lasting.begin(steps, snapshot(), rows, "rows")
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        if lasting.is_left():
            batches = {row.case.cell.batch for row in rows if not row.error}
            with heartbeat(say, "weights, images and references"):
                files |= _prepare(options, batches, reference, Path(folder), say)
        return lasting.run(snapshot, say)


def _as_lists(settings: dict[str, Any]) -> dict[str, Any]:
    """With lists for tuples, as a record that is read from its file has them."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}
