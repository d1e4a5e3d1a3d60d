"""``python -m benchmarks parity``: what a parity run costs beside the bare forward passes.

Whole processes, warm files, interleaved over several rounds: ``python -m parity`` on a checkpoint
and images, in float64 and float32 with every layer compared, over the sum of two scripts that do
the same forward passes, one per framework, and compare nothing. This process imports neither
framework.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.experiments.parity_cost.rows import FACTOR, PADDLE, PARITY, TORCH
from benchmarks.harness import frameworks, rounds
from benchmarks.harness.lasting import Lasting, Say, Step, heartbeat
from benchmarks.harness.processes import CommandError, peak_anonymous, run
from benchmarks.records import marks, record
from parity import images, seeded
from parity.run.inputs import COUNT
from parity.workers import launch
from weight_port.formats import safetensors


class Row(rounds.Row[str]):
    """A command by its name; in the record, its processes are the times of each."""

    def as_json(self) -> dict[str, Any]:
        """The command's entry in the record."""
        times = [process["wall_ns"] for process in self.processes]
        return {"name": self.case, "error": self.error, "wall_ns": times}

    def restore(self, entry: Mapping[str, Any], key: str = "wall_ns") -> None:
        """Take over what came of it so far, from its entry in a record."""
        super().restore(entry, key)
        self.processes = [{"wall_ns": ns} for ns in self.processes]


NAMES = (PARITY, TORCH, PADDLE)
PRECISIONS = ("float64", "float32")


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


def _process(
    row: Row, turn: int, commands: Mapping[str, list[str]], environment: Mapping[str, str]
) -> str:
    """One process of a command. Raises CommandError."""
    timed = run(commands[row.case], environment)
    row.processes.append({"round": turn, "wall_ns": timed.wall_ns})
    return f"{timed.wall_ns / 1e9:.2f} s"


def _warm_up(
    rows: list[Row], commands: Mapping[str, list[str]], environment: Mapping[str, str], say: Say
) -> None:
    """Run every command once, so that its files are in memory; nothing of it is kept."""
    for row in rows:
        if row.error:  # of a run that goes on
            continue
        say(f"warm-up: {row.case}")
        try:
            run(commands[row.case], environment)
        except CommandError as error:
            row.error = str(error)


def _memory(options: Options, folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """The largest anonymous memory of the parent at the greatest depth."""
    try:
        command = _commands(options.deep, options, folder / "deep")[PARITY]
        peak, looks = peak_anonymous(command, environment)
    except (CommandError, launch.WorkerError) as error:
        return {"model": options.deep, "peak_bytes": None, "looks": 0, "error": str(error)}
    return {"model": options.deep, "peak_bytes": peak, "looks": looks, "error": None}


_SECONDS = 15.0  # of a process: one framework's import or both, and a few passes in float64


def planned(options: Options) -> list[tuple[str, float]]:
    """Every row as it is called, with the seconds that one of its processes may take."""
    return [(name, _SECONDS) for name in NAMES]


def measure(
    options: Options, build: Path, say: Say, lasting: Lasting | None = None
) -> record.Record:
    """Measure; returns the record, of as much as ``lasting`` gives time for.

    Raises WorkerError and RunError where nothing can run, RecordError where it can't go on.
    """
    lasting, threads = lasting or Lasting(), launch.available_threads()
    descriptions = frameworks.require(("torch", "paddle"), threads, say)
    context = record.context(descriptions, "cpu", threads, {})
    environment = launch.environment(threads)
    rows = [Row(name) for name in NAMES]
    memory: dict[str, Any] = {
        "model": options.deep,
        "peak_bytes": None,
        "looks": 0,
        "error": marks.PENDING,
    }
    commands: dict[str, list[str]] = {}
    settings = {**vars(options), "batch": COUNT, "precisions": list(PRECISIONS), "factor": FACTOR}

    def snapshot() -> record.Record:
        return {
            "schema": record.version("parity_cost"),
            "kind": "parity-cost",
            "context": context,
            "settings": settings,
            "commands": [row.as_json() for row in rows],
            "memory": dict(memory),
        }

    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="parity-", dir=build) as name:
        folder = Path(name).resolve()

        def look() -> str:
            memory.update(_memory(options, folder, environment))
            return str(memory["error"] or f"{memory['peak_bytes'] / 1e6:.0f} MB")

        process = partial(_process, commands=commands, environment=environment)
        steps = rounds.steps(rows, options.rounds, process, lambda row: row.case, (CommandError,))
        steps.append(Step(f"memory of the parent, {options.deep}", look, 4 * _SECONDS))
        memory |= lasting.begin(steps, snapshot(), rows, "commands").get("memory", {})
        if lasting.is_left():
            with heartbeat(say, "weights, images and a warm-up"):
                say(f"{options.model}: seeded weights, calibrated in Paddle")
                commands |= _commands(options.model, options, folder / "timed")
                _warm_up(rows, commands, environment, say)
        return lasting.run(snapshot, say)
