"""The parent of a run: starts one process per cell and round, and gathers what they say."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import frameworks, record
from benchmarks.cells import SWITCHES, Cell, abba, grid
from benchmarks.inputs import Files, images, make_files, make_weights
from benchmarks.timing import Plan
from parity.launch import WorkerError
from weight_port import WeightPortError

PLAN = Plan()

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What a run measures; ``device`` is auto, cpu or gpu."""

    models: tuple[str, ...]
    batches: tuple[int, ...]
    implementations: tuple[str, ...]
    device: str
    threads: int
    rounds: int
    size: int
    seed: int


@dataclass
class Row:
    """A cell and what came of it so far; a row with an error is not run again."""

    cell: Cell
    error: str | None = None
    files: Files | None = None
    processes: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The cell's entry in the record."""
        return {**asdict(self.cell), "error": self.error, "processes": self.processes}


def _prepare(options: Options, framework: str, rows: list[Row], folder: Path, say: Say) -> None:
    """Give every row its files; where one can't be made, its rows get the error instead."""
    start = partial(frameworks.start, framework, threads=options.threads)
    for model in options.models:
        mine = [row for row in rows if row.cell.model == model]
        try:
            say(f"{model}: seeded weights, calibrated in {framework}")
            weights = make_weights(folder, model, options.size, options.seed, framework)
            for batch in options.batches:
                say(f"{model}: float64 reference for batch {batch}")
                # Another seed than the calibration's: not the images that set the statistics.
                inputs = images(batch, options.size, options.seed + 1)
                files = make_files(folder, weights, inputs, start)
                for row in mine:
                    row.files = files if row.cell.batch == batch else row.files
        except (WorkerError, WeightPortError) as error:
            for row in mine:
                if row.files is None:
                    row.error = row.error or str(error)


def _measure(row: Row, turn: int, device: str, threads: int) -> None:
    """One process of a row."""
    assert row.files is not None  # a row without files has an error and does not get here
    job = {**asdict(row.cell), **asdict(row.files), "device": device, "plan": asdict(PLAN)}
    try:
        result = frameworks.start(row.cell.framework, "measure", threads, **job)
    except WorkerError as error:
        row.error = str(error)
        return
    row.processes.append({"round": turn, **result})
    row.error = result["parity"]["error"]


def _peak(framework: str, turn: int, device: str, threads: int) -> dict[str, Any]:
    """The matrix products of a framework's process."""
    entry = {"framework": framework, "round": turn, "precision": "fp32", "error": None}
    try:
        return {**entry, **frameworks.start(framework, "peak", threads, device=device)}
    except WorkerError as error:
        return {**entry, "products": [], "error": str(error)}


def _outcome(row: Row) -> str:
    """A finished process in a few words."""
    if row.error:
        return row.error.strip().splitlines()[-1]
    return f"{np.median(row.processes[-1]['samples']['device_ns']) / 1e6:.1f} ms"


def _rounds(options: Options, rows: list[Row], device: str, say: Say) -> list[dict[str, Any]]:
    """Run every process; fills the rows and returns the peaks, which are measured every round."""
    peaks = []
    running = sorted({row.cell.framework for row in rows if not row.error})
    total = len(rows) * options.rounds
    for done, (turn, index) in enumerate(abba(len(rows), options.rounds)):
        if done % len(rows) == 0:
            say(f"round {turn + 1} of {options.rounds}: matrix products in {', '.join(running)}")
            peaks += [_peak(name, turn, device, options.threads) for name in running]
        row = rows[index]
        if not row.error:
            _measure(row, turn, device, options.threads)
        cell = row.cell
        label = f"{cell.model} batch {cell.batch} {cell.implementation}"
        say(f"[{done + 1}/{total}] {label}: {_outcome(row)}")
    return peaks


def run(options: Options, say: Say) -> record.Record:
    """Measure the grid; returns its record. Raises RunError where nothing can run as asked."""
    cells = grid(options.models, options.batches, options.implementations, options.size)
    reference = frameworks.reference_framework()
    needed = {cell.framework for cell in cells}
    say(f"asking {' and '.join(sorted(needed | {reference}))} for versions and devices")
    said, errors = frameworks.describe(needed | {reference}, options.threads)
    mine = {framework: said[framework] for framework in said if framework in needed}
    device = frameworks.choose_device(options.device, mine, say)
    context = record.context(said, device, options.threads, SWITCHES)
    rows = [Row(cell, errors.get(cell.framework)) for cell in cells]
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        _prepare(options, reference, rows, Path(folder), say)
        peaks = _rounds(options, rows, device, say)
    settings = {
        "device": device,
        "threads": options.threads,
        "rounds": options.rounds,
        "seed": options.seed,
        "plan": asdict(PLAN),
        "reference": frameworks.REFERENCES[reference],
    }
    return {
        "schema": record.VERSION,
        "context": context,
        "settings": settings,
        "peaks": peaks,
        "cells": [row.as_json() for row in rows],
    }
