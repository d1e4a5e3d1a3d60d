"""``python -m benchmarks layers MODEL``: every step of a network by itself, in both frameworks.

Eager, float32. A process per framework and round, forward and backward by turns. In each, the
logits are compared with the float64 reference first; then the whole pass is timed; then every
step, on the input that it has in a real pass, is compared and timed by itself; then the whole
pass again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.experiments.layers import steps as layers_worker
from benchmarks.experiments.layers.rows import IMPLEMENTATIONS
from benchmarks.grid.cells import abba
from benchmarks.harness import frameworks, worker
from benchmarks.harness.inputs import images, make_files, make_weights
from benchmarks.records import record
from benchmarks.roofline.measure import peak
from parity.workers.launch import WorkerError

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What a run measures; ``device`` is auto, cpu or gpu."""

    model: str
    batch: int
    size: int  # height and width of the images
    threads: int
    device: str
    rounds: int
    seed: int
    layout: str = "NCHW"  # or NHWC


def _prepare(options: Options, reference: str, folder: Path, say: Say) -> dict[str, str]:
    """Weights, images, and float64 references of the logits and of every step: a job's paths."""
    start = partial(frameworks.start, reference, threads=options.threads)
    say(f"{options.model}: seeded weights, calibrated in {reference}")
    weights = make_weights(folder, options.model, options.size, options.seed, reference)
    say(f"{options.model}: float64 references of the logits and of every step")
    # Another seed than the calibration's: not the images that set the statistics.
    files = make_files(
        folder, weights, images(options.batch, options.size, options.seed + 1), start
    )
    one = folder / "first.safetensors"  # of float64 and every step, an image is enough to hold
    first = images(options.batch, options.size, options.seed + 1)[: layers_worker.COMPARED]
    worker.save_array(one, "images", first)
    steps = folder / "steps"
    steps.mkdir()
    start("layers_reference", weights=weights, inputs=str(one), out=str(steps))
    return {
        "weights": files.weights,
        "inputs": files.inputs,
        "reference": files.reference,
        "steps": str(steps),
    }


def _measure(side: dict[str, Any], turn: int, job: dict[str, Any]) -> None:
    """One process of a side; a failure becomes its error."""
    try:
        found = frameworks.start(side["framework"], "layers", **job)
    except WorkerError as error:
        side["error"] = str(error)
        return
    side["processes"].append({**found, "round": turn})
    side["error"] = found["parity"]["error"]


def _rounds(
    options: Options, sides: list[dict[str, Any]], job: dict[str, Any], say: Say
) -> list[dict[str, Any]]:
    """Run every process; fills the sides and returns the machine's peaks."""
    peaks = []
    total = len(sides) * options.rounds
    for done, (turn, index) in enumerate(abba(len(sides), options.rounds), start=1):
        side = sides[index]
        if not side["error"]:
            peaks.append(peak(side["framework"], turn, job["device"], options.threads))
            _measure(side, turn, job)
        say(f"[{done}/{total}] {side['framework']}: {_outcome(side)}")
    return peaks


def _outcome(side: dict[str, Any]) -> str:
    if side["error"]:
        return str(side["error"].strip().splitlines()[-1])
    steps = side["processes"][-1]["steps"]
    failed = sum(step["parity"]["error"] is not None for step in steps)
    return f"{len(steps)} steps" + (f", {failed} failed parity" if failed else "")


def measure(options: Options, say: Say) -> record.Record:
    """Measure; returns the record. Raises RunError or WorkerError where nothing can run."""
    reference = frameworks.reference_framework()
    said, errors = frameworks.describe(IMPLEMENTATIONS, options.threads)
    device = frameworks.choose_device(options.device, said, say)
    context = record.context(
        said, device, options.threads, frameworks.extra_environment(options.threads)
    )
    sides: list[dict[str, Any]] = [
        {"framework": name, "implementation": ours, "error": errors.get(name), "processes": []}
        for name, ours in IMPLEMENTATIONS.items()
    ]
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        files = _prepare(options, reference, Path(folder), say)
        how = {"device": device, "layout": options.layout, "precision": "fp32"}
        job = {**files, **how, "threads": options.threads}
        peaks = _rounds(options, sides, job, say)
    settings = {**asdict(options), "device": device}
    settings |= {"reference": frameworks.REFERENCES[reference]}
    settings |= {"step_plan": asdict(layers_worker.STEP_PLAN)}
    settings |= {"pass_plan": asdict(layers_worker.PASS_PLAN)}
    settings |= {"compared": min(options.batch, layers_worker.COMPARED)}
    return {
        "schema": record.version("layers"),
        "kind": "layers",
        "context": context,
        "settings": settings,
        "peaks": peaks,
        "sides": sides,
    }
