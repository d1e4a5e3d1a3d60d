"""The parent of a run: starts one process per cell and round, and gathers what they say."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.devices import gpu_monitor
from benchmarks.devices.timing import Plan
from benchmarks.experiments.forward import noise
from benchmarks.grid.cells import Cell, describe_cell, runs_on
from benchmarks.harness import frameworks, rounds, travelling
from benchmarks.harness.inputs import Files, export, images, make_files, make_weights
from benchmarks.harness.lasting import Lasting, Say, Step
from benchmarks.records import marks, record
from benchmarks.roofline import probes
from benchmarks.roofline.measure import peak
from parity.workers.launch import WorkerError
from weight_port import WeightPortError, arch

# What both frameworks say on a GPU ("CUDA out of memory", "Out of memory error on GPU 0"), and the
# C++ library on a CPU.
_OUT_OF_MEMORY = ("out of memory", "bad_alloc", "memoryerror")


@dataclass(frozen=True)
class Options:
    """What a run measures; ``device`` is auto, cpu or gpu."""

    cells: tuple[Cell, ...]
    device: str
    threads: int  # of what is no cell: the reference, the peaks
    rounds: int
    seed: int
    plan: Plan
    travelling: Path | None = None  # a reference made elsewhere, instead of one that is made here


@dataclass
class Row(rounds.Row[Cell]):
    """A cell, and what its job names."""

    files: Files | None = None
    batch: int = 0  # what fits the memory: the cell's batch, halved until it does

    def __post_init__(self) -> None:
        self.batch = self.batch or self.case.batch

    def as_json(self) -> dict[str, Any]:
        """The cell's entry in the record."""
        return {**asdict(self.case), "ran_batch": self.batch, **self.outcome()}

    def restore(self, entry: Mapping[str, Any], key: str = "processes") -> None:
        """Take over what came of it so far, from its entry in a record."""
        super().restore(entry, key)
        self.batch = entry.get("ran_batch", self.case.batch)


def _place(folder: Path, cell: Cell) -> Path:
    """Where the files of a size are."""
    place = folder / f"{cell.size}"
    place.mkdir(exist_ok=True)
    return place


def _shared(options: Options, rows: Sequence[Row], framework: str, folder: Path, say: Say) -> None:
    """Make what the rows of one model, size and batch share; an error becomes theirs."""
    cell = rows[0].case
    start = partial(frameworks.start, framework, threads=options.threads)
    try:
        if options.travelling is not None:
            given = travelling.files(
                options.travelling, cell.model, cell.batch, cell.size, _place(folder, cell)
            )
            for row in rows:
                row.files = given
            return
        weights = _place(folder, cell)
        known = list(weights.glob(f"{cell.model}.*"))
        if not known:
            say(f"{cell.model}: seeded weights, calibrated in {framework}")
            drawn = make_weights(weights, cell.model, cell.size, options.seed, framework)
        path = str(known[0]) if known else drawn
        say(f"{cell.model}: float64 reference for batch {cell.batch}")
        # Another seed than the calibration's: not the images that set the statistics.
        channels = arch.architecture(cell.model).in_channels
        inputs = images(cell.batch, cell.size, options.seed + 1, channels)
        files = make_files(weights, path, inputs, start)
        if any(row.case.framework == "engines" for row in rows):
            say(f"{cell.model}: ONNX for batch {cell.batch}")
            torch = partial(frameworks.start, "torch", threads=options.threads)
            files = export(weights, files, cell.batch, torch)
        for row in rows:
            row.files = files
    except (WorkerError, WeightPortError, travelling.TravelError) as error:
        for row in rows:
            row.error = row.error or str(error)


def _group(row: Row) -> tuple[str, int, int]:
    """Rows with the same one share weights, images and reference."""
    return row.case.model, row.case.size, row.case.batch


def _prepare(
    row: Row, rows: Sequence[Row], options: Options, framework: str, folder: Path, say: Say
) -> None:
    """Make a row's files, and its group's, where it has none; an error becomes that of all."""
    if row.files is None:
        group = [other for other in rows if _group(other) == _group(row) and not other.error]
        _shared(options, group, framework, folder, say)


def _job(row: Row, device: str, plan: Plan) -> dict[str, Any]:
    assert row.files is not None  # a row without files has an error and does not get here
    job = {**asdict(row.case), **asdict(row.files), "batch": row.batch}
    return {**job, "device": device, "plan": asdict(plan)}


def _process(row: Row, turn: int, device: str, plan: Plan, prepare: Callable[[Row], None]) -> str:
    """One process of a row; where the memory ran out, another with half the batch.

    What was measured with the larger batch is dropped then: all processes of a row do the same.
    Raises WorkerError.
    """
    prepare(row)
    if row.error:
        return ""
    begin = time.perf_counter_ns()
    try:
        with gpu_monitor.watch(device) as watched:
            job = _job(row, device, plan)
            result = frameworks.start(row.case.framework, "measure", **job)
    except WorkerError as error:
        if not _can_be_halved(row, error):
            raise
        row.batch, row.processes = row.batch // 2, []
        return _process(row, turn, device, plan, prepare)
    whole = {"process_ns": time.perf_counter_ns() - begin, "monitor": watched or None}
    row.add(turn, {**result, **whole})
    smaller = f" (batch {row.batch}: out of memory)" if row.batch != row.case.batch else ""
    return "" if row.error else f"{_milliseconds(result):.1f} ms{smaller}"


def _can_be_halved(row: Row, error: WorkerError) -> bool:
    """Whether the memory ran out, and a smaller batch may fit; an engine's is in its file."""
    ran_out = any(text in str(error).lower() for text in _OUT_OF_MEMORY)
    return ran_out and row.batch > 1 and row.case.framework != "engines"


def _milliseconds(result: dict[str, Any]) -> float:
    return float(np.median(result["samples"]["device_ns"])) / 1e6


# What a process may take before one has run, in seconds: a framework's import, what its mode
# compiles, and its passes at a rate in FLOP/s that no device of its kind is much below.
_IMPORT = 8.0
_COMPILES = {"compile": 25.0, "inductor": 30.0, "max-autotune": 90.0, "cinn": 30.0}
_RATES = {"cpu": 50e9, "gpu": 5e12}


def expected(cell: Cell, plan: Plan, device: str) -> float:
    """Seconds that a process of a cell may take, roughly."""
    flops = 2 * cell.batch * arch.multiply_adds(cell.model, cell.size, cell.size)
    passes = (plan.warmup + plan.min_count) * flops / _RATES["gpu" if device == "gpu" else "cpu"]
    measured = min(max(plan.min_seconds + plan.patience / 2, passes), plan.max_seconds)
    return _IMPORT + _COMPILES.get(cell.mode, 0.0) + measured


def planned(options: Options) -> list[tuple[str, float]]:
    """Every row as it is called, with the seconds that one of its processes may take."""
    return [
        (describe_cell(cell), expected(cell, options.plan, options.device))
        for cell in options.cells
    ]


def _peaks(
    options: Options, rows: Sequence[Row], device: str, peaks: list[dict[str, Any]]
) -> Callable[[int], list[Step]]:
    """The steps that come first in a round: the machine's peaks, by framework and precision."""
    running = sorted({row.case.framework for row in rows if not row.error} & {"torch", "paddle"})
    precisions = probes.precisions(row.case.precision for row in rows)

    def measure(name: str, turn: int, precision: str) -> str:
        peaks.append(peak(name, turn, device, options.threads, precision))
        return peaks[-1]["error"] or "measured"

    return lambda turn: [
        Step(f"the machine's {precision} peaks in {name}", partial(measure, name, turn, precision))
        for name, precision in itertools.product(running, precisions)
    ]


def _travelled(path: Path | None) -> dict[str, Any]:
    """Of a reference that was made elsewhere, what it is: rows of two may not be in one record."""
    if path is None:
        return {}
    known = travelling.about(path)
    return {"travelling": {key: known[key] for key in ("model", "size", "seed", "weights")}}


def _row(cell: Cell, device: str, errors: dict[str, str]) -> Row:
    """A cell's row, with an error where it can't run on the device or its framework can't."""
    error = errors.get(cell.framework)
    if not error and not runs_on(cell, device):
        error = f"{cell.mode} in {cell.precision} does not exist on a {device}"
    return Row(cell, error)


def run(options: Options, say: Say, lasting: Lasting | None = None) -> record.Record:
    """Measure the grid; returns its record, of as much as ``lasting`` gives time for.

    Raises RunError where nothing can run as asked, RecordError where it can't go on as asked.
    """
    lasting = lasting or Lasting()
    needed, asked = {cell.framework for cell in options.cells}, set()
    if options.travelling is None:
        reference = frameworks.reference_framework()
        asked = {reference}
    else:
        reference = travelling.FRAMEWORK
        travelling.about(options.travelling)
    descriptions, errors = frameworks.ask(needed | asked, options.threads, say)
    timed = {name: described for name, described in descriptions.items() if name in needed}
    timed = frameworks.set_aside(options.device, timed, errors, say)
    device = frameworks.choose_device(options.device, timed, say)
    context = record.context(
        descriptions, device, options.threads, frameworks.extra_environment(options.threads)
    )
    rows = [_row(cell, device, errors) for cell in options.cells]
    peaks: list[dict[str, Any]] = []
    settings = {
        "device": device,
        "threads": options.threads,
        "rounds": options.rounds,
        "seed": options.seed,
        "plan": asdict(options.plan),
        "reference": frameworks.REFERENCES[reference],
        **_travelled(options.travelling),
    }

    def snapshot() -> record.Record:
        made: record.Record = {
            "schema": record.version("forward"),
            "context": context,
            "settings": {**settings, "wall_ns": lasting.wall_ns()},
            "peaks": list(peaks),
            "cells": [row.as_json() for row in rows],
        }
        return {**made, marks.UNMATCHED: noise.unmatched(made)}

    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:

        def prepare(row: Row) -> None:
            _prepare(row, rows, options, reference, Path(folder), say)

        process = partial(_process, device=device, plan=options.plan, prepare=prepare)
        steps = rounds.steps(
            rows,
            options.rounds,
            process,
            lambda row: describe_cell(row.case),
            before=_peaks(options, rows, device, peaks),
            seconds=lambda row: expected(row.case, options.plan, device),
        )
        peaks += lasting.begin(steps, snapshot(), rows, "cells").get("peaks", [])
        return lasting.run(snapshot, say)
