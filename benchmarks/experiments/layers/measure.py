"""``python -m benchmarks layers MODEL``: every step of a network by itself, in both frameworks.

Eager, float32. A process per framework and round, forward and backward by turns. In each, the
logits are compared with the float64 reference first; then the whole pass is timed; then every
step, on the input that it has in a real pass, is compared and timed by itself; then the whole
pass again.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.experiments.layers import steps
from benchmarks.experiments.layers.rows import IMPLEMENTATIONS
from benchmarks.harness import frameworks, rounds, worker
from benchmarks.harness.inputs import images, make_files, make_weights
from benchmarks.harness.lasting import Lasting, Say, heartbeat
from benchmarks.records import record
from benchmarks.roofline.measure import peak

Row = rounds.Row[str]  # of a framework


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
    one_image = folder / "first.safetensors"  # of every step in float64, that is enough to hold
    first = images(options.batch, options.size, options.seed + 1)[: steps.COMPARED]
    worker.save_array(one_image, "images", first)
    references = folder / "steps"
    references.mkdir()
    start("layers_reference", weights=weights, inputs=str(one_image), out=str(references))
    return {
        "weights": files.weights,
        "inputs": files.inputs,
        "reference": files.reference,
        "steps": str(references),
    }


def _process(row: Row, turn: int, job: dict[str, Any], peaks: list[dict[str, Any]]) -> str:
    """The machine's peaks and one process of a framework. Raises WorkerError."""
    peaks.append(peak(row.case, turn, job["device"], job["threads"]))
    result = frameworks.start(row.case, "layers", **job)
    row.add(turn, result)
    failed = sum(step["parity"]["error"] is not None for step in result["steps"])
    return f"{len(result['steps'])} steps" + (f", {failed} failed parity" if failed else "")


_SECONDS = 60.0  # of a process: the peaks, and some two hundred steps of 0.1 s, twice


def planned(options: Options) -> list[tuple[str, float]]:
    """Every row as it is called, with the seconds that one of its processes may take."""
    return [(_name(framework, options), _SECONDS) for framework in IMPLEMENTATIONS]


def _name(framework: str, options: Options) -> str:
    return f"{framework}, {options.model} batch {options.batch} {options.layout}"


def measure(options: Options, say: Say, lasting: Lasting | None = None) -> record.Record:
    """Measure; returns the record, of as much as ``lasting`` gives time for.

    Raises RunError or WorkerError where nothing can run, RecordError where it can't go on.
    """
    lasting = lasting or Lasting()
    reference = frameworks.reference_framework()
    descriptions, errors = frameworks.ask(IMPLEMENTATIONS, options.threads, say)
    able = frameworks.set_aside(options.device, descriptions, errors, say)
    device = frameworks.choose_device(options.device, able, say)
    context = record.context(
        descriptions, device, options.threads, frameworks.extra_environment(options.threads)
    )
    rows = [Row(framework, errors.get(framework)) for framework in IMPLEMENTATIONS]
    peaks: list[dict[str, Any]] = []
    how = {"device": device, "layout": options.layout, "precision": "fp32"}
    job: dict[str, Any] = {**how, "threads": options.threads}
    settings = {**asdict(options), "device": device}
    settings |= {"reference": frameworks.REFERENCES[reference]}
    settings |= {"step_plan": asdict(steps.STEP_PLAN)}
    settings |= {"pass_plan": asdict(steps.PASS_PLAN)}
    settings |= {"compared": min(options.batch, steps.COMPARED)}

    def snapshot() -> record.Record:
        return {
            "schema": record.version("layers"),
            "kind": "layers",
            "context": context,
            "settings": settings,
            "peaks": list(peaks),
            "sides": [_side(row) for row in rows],
        }

    process = partial(_process, job=job, peaks=peaks)
    every = rounds.steps(
        rows,
        options.rounds,
        process,
        lambda row: _name(row.case, options),
        seconds=lambda row: _SECONDS,
    )
    peaks += lasting.begin(every, snapshot(), rows, "sides").get("peaks", [])
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        if lasting.is_left():
            with heartbeat(say, "weights, images and references"):
                job |= _prepare(options, reference, Path(folder), say)
        return lasting.run(snapshot, say)


def _side(row: Row) -> dict[str, Any]:
    """A framework's entry in the record."""
    names = {"framework": row.case, "implementation": IMPLEMENTATIONS[row.case]}
    return {**names, **row.outcome()}
