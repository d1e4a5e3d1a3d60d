"""The parent of a run: starts one process per cell and round, and gathers what they say."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.devices import gpu_monitor
from benchmarks.devices.timing import Plan
from benchmarks.grid.cells import Cell, describe_cell, runs_on
from benchmarks.harness import frameworks, rounds
from benchmarks.harness.inputs import Files, export, images, make_files, make_weights
from benchmarks.harness.rounds import Say
from benchmarks.records import record
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


@dataclass
class Row(rounds.Row[Cell]):
    """A cell, and what its job names."""

    files: Files | None = None
    batch: int = 0  # what fits the memory: the cell's batch, halved until it does

    def __post_init__(self) -> None:
        self.batch = self.batch or self.case.batch

    def as_json(self) -> dict[str, Any]:
        """The cell's entry in the record."""
        outcome = {"ran_batch": self.batch, "error": self.error, "processes": self.processes}
        return {**asdict(self.case), **outcome}


def _shared(options: Options, rows: Iterable[Row], framework: str, folder: Path, say: Say) -> None:
    """Make what the rows of one model, size and batch share; an error becomes theirs."""
    rows = list(rows)
    cell = rows[0].case
    start = partial(frameworks.start, framework, threads=options.threads)
    try:
        weights = folder / f"{cell.size}"
        weights.mkdir(exist_ok=True)
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
    except (WorkerError, WeightPortError) as error:
        for row in rows:
            row.error = row.error or str(error)


def _prepare(options: Options, framework: str, rows: list[Row], folder: Path, say: Say) -> None:
    """Give every row its files; where one can't be made, its rows get the error instead."""
    groups: dict[tuple[str, int, int], list[Row]] = {}
    for row in rows:
        if not row.error:
            key = (row.case.model, row.case.size, row.case.batch)
            groups.setdefault(key, []).append(row)
    for group in groups.values():
        _shared(options, group, framework, folder, say)


def _job(row: Row, device: str, plan: Plan) -> dict[str, Any]:
    assert row.files is not None  # a row without files has an error and does not get here
    job = {**asdict(row.case), **asdict(row.files), "batch": row.batch}
    return {**job, "device": device, "plan": asdict(plan)}


def _process(row: Row, turn: int, device: str, plan: Plan) -> str:
    """One process of a row; where the memory ran out, another with half the batch.

    What was measured with the larger batch is dropped then: all processes of a row do the same.
    Raises WorkerError.
    """
    begin = time.perf_counter_ns()
    try:
        with gpu_monitor.watch(device) as watched:
            job = _job(row, device, plan)
            result = frameworks.start(row.case.framework, "measure", **job)
    except WorkerError as error:
        if not _can_be_halved(row, error):
            raise
        row.batch, row.processes = row.batch // 2, []
        return _process(row, turn, device, plan)
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


def _rounds(options: Options, rows: list[Row], device: str, say: Say) -> list[dict[str, Any]]:
    """Run every process; fills the rows and returns the peaks, which are measured every round."""
    peaks = []
    running = sorted({row.case.framework for row in rows if not row.error} & {"torch", "paddle"})
    precisions = probes.precisions(row.case.precision for row in rows)

    def measure_peaks(turn: int) -> None:
        say(f"round {turn + 1} of {options.rounds}: machine's peaks in {', '.join(running)}")
        for name, precision in itertools.product(running, precisions):
            peaks.append(peak(name, turn, device, options.threads, precision))

    rounds.run(
        rows,
        options.rounds,
        partial(_process, device=device, plan=options.plan),
        lambda row: describe_cell(row.case),
        say,
        begin=measure_peaks,
    )
    return peaks


def _row(cell: Cell, device: str, errors: dict[str, str]) -> Row:
    """A cell's row, with an error where it can't run on the device or its framework can't."""
    error = errors.get(cell.framework)
    if not error and not runs_on(cell, device):
        error = f"{cell.mode} in {cell.precision} does not exist on a {device}"
    return Row(cell, error)


def run(options: Options, say: Say) -> record.Record:
    """Measure the grid; returns its record. Raises RunError where nothing can run as asked."""
    begin = time.perf_counter_ns()
    reference = frameworks.reference_framework()
    needed = {cell.framework for cell in options.cells}
    say(f"asking {' and '.join(sorted(needed | {reference}))} for versions and devices")
    descriptions, errors = frameworks.describe(needed | {reference}, options.threads)
    timed = {name: described for name, described in descriptions.items() if name in needed}
    device = frameworks.choose_device(options.device, timed, say)
    context = record.context(
        descriptions, device, options.threads, frameworks.extra_environment(options.threads)
    )
    rows = [_row(cell, device, errors) for cell in options.cells]
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        _prepare(options, reference, rows, Path(folder), say)
        peaks = _rounds(options, rows, device, say)
    settings = {
        "device": device,
        "threads": options.threads,
        "rounds": options.rounds,
        "seed": options.seed,
        "plan": asdict(options.plan),
        "wall_ns": time.perf_counter_ns() - begin,
        "reference": frameworks.REFERENCES[reference],
    }
    return {
        "schema": record.version("forward"),
        "context": context,
        "settings": settings,
        "peaks": peaks,
        "cells": [row.as_json() for row in rows],
    }
