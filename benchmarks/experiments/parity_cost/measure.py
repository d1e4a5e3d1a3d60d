"""``python -m benchmarks parity``: what a parity run costs beside the bare forward passes.

Whole processes, warm files, interleaved over several rounds: ``python -m parity`` on a checkpoint
and images, in float64 and float32 with every layer compared, over the sum of two scripts that do
the same forward passes, one per framework, and compare nothing. This process imports neither.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.grid.cells import abba
from benchmarks.harness import frameworks
from benchmarks.harness.processes import CommandError, peak_anonymous, run
from benchmarks.records import record
from parity import images, seeded
from parity.run.inputs import COUNT
from parity.workers import launch
from weight_port.formats import safetensors

Say = Callable[[str], None]

PARITY, TORCH, PADDLE = "python -m parity", "torch alone", "paddle alone"
PRECISIONS = ("float64", "float32")
FACTOR = 1.25  # the parity run may take so many times the two alone
ANONYMOUS = 300_000_000  # bytes of the parity run's parent, at the greatest depth


@dataclass(frozen=True)
class Options:
    """What a run measures, and how often; ``deep`` is the model whose memory is looked at."""

    model: str
    deep: str
    size: int
    rounds: int
    seed: int


def _commands(model: str, options: Options, folder: Path) -> dict[str, list[str]]:
    """The three, on weights and images that are made here. Raises WorkerError."""
    python = [sys.executable, "-W", "ignore", "-m"]
    folder.mkdir()
    weights, inputs = folder / f"{model}.pdparams", folder / "inputs.safetensors"
    batch = images.synthetic(COUNT, 3, options.size, options.seed)
    seeded.make(model, batch, weights, seed=options.seed)
    with open(inputs, "wb") as stream:
        safetensors.write(stream, {"images": batch})
    # The images that parity draws are these: equal for equal seeds.
    parity = ["parity", model, "--weights", str(weights), "--size", str(options.size)]
    parity += ["--seed", str(options.seed), "--precision", ",".join(PRECISIONS)]
    bare = [str(weights), str(inputs), *PRECISIONS]
    return {
        PARITY: [*python, *parity, "--out", str(folder / "out")],
        TORCH: [*python, "benchmarks.experiments.parity_cost.bare_torch", *bare],
        PADDLE: [*python, "benchmarks.experiments.parity_cost.bare_paddle", *bare],
    }


def _rounds(
    commands: Mapping[str, list[str]], options: Options, environment: Mapping[str, str], say: Say
) -> list[dict[str, Any]]:
    """Every command's processes, the first of each thrown away; one that fails has its error."""
    rows: list[dict[str, Any]] = [{"name": name, "error": None, "wall_ns": []} for name in commands]
    order = [(-1, index) for index in range(len(rows))] + list(abba(len(rows), options.rounds))
    for done, (turn, index) in enumerate(order, start=1):
        row = rows[index]
        try:
            found = None if row["error"] else run(commands[row["name"]], environment)
        except CommandError as error:
            row["error"] = str(error)
            continue
        if found and turn >= 0:
            row["wall_ns"].append(found.wall_ns)
        said = row["error"] or f"{found.wall_ns / 1e9:.2f} s" if found else "failed before"
        say(f"[{done}/{len(order)}] {row['name']}: {said}")
    return rows


def _memory(options: Options, folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """The largest anonymous memory of the parent at the greatest depth."""
    try:
        command = _commands(options.deep, options, folder / "deep")[PARITY]
        peak, looks = peak_anonymous(command, environment)
    except (CommandError, launch.WorkerError) as error:
        return {"model": options.deep, "peak_bytes": None, "looks": 0, "error": str(error)}
    return {"model": options.deep, "peak_bytes": peak, "looks": looks, "error": None}


def measure(options: Options, build: Path, say: Say) -> record.Record:
    """Measure; returns the record. Raises WorkerError and RunError where nothing can run."""
    threads = launch.available_threads()
    said, errors = frameworks.describe(("torch", "paddle"), threads)
    if errors:
        raise frameworks.RunError("; ".join(errors.values()))
    context = record.context(said, "cpu", threads, {})
    environment = launch.environment(threads)
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="parity-", dir=build) as name:
        folder = Path(name).resolve()
        say(f"{options.model}: seeded weights, calibrated in Paddle")
        rows = _rounds(
            _commands(options.model, options, folder / "timed"), options, environment, say
        )
        say(f"memory of the parent: {options.deep}")
        memory = _memory(options, folder, environment)
    settings = {**vars(options), "batch": COUNT, "precisions": list(PRECISIONS), "factor": FACTOR}
    return {
        "schema": record.version("parity_cost"),
        "kind": "parity-cost",
        "context": context,
        "settings": settings,
        "commands": rows,
        "memory": memory,
    }


# -- from a record to numbers
