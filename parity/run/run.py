"""A parity run: each framework in its own process, every output compared once it is computed."""

from __future__ import annotations

import contextlib
import hashlib
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import weight_port
from parity.comparison.weights import compare_tensors
from parity.run import cause, plan
from parity.run.follower import Alive, Batch, Follower
from parity.run.inputs import check_casts
from parity.run.plan import Options, Section
from parity.run.results import FRAMEWORKS, Machine, Report, SectionResult, Subject
from parity.workers.launch import WORKERS, Worker, available_threads
from parity.workers.outputs import load_output
from weight_port import arch
from weight_port.formats import safetensors

# Both are on by default where a GPU has TF32; the workers set them run by run.
_TF32 = {"NVIDIA_TF32_OVERRIDE": None}
Say = Callable[[str], None]


def digest(images: np.ndarray) -> str:
    """SHA-256 of a batch's bytes: two halves of a run that were given the same have the same."""
    return hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest()


def write_inputs(path: Path, subject: Subject) -> None:
    """The file that both workers read."""
    with open(path, "wb") as stream:
        safetensors.write(stream, {"images": subject.images, "labels": subject.labels})


def job(
    framework: str,
    subject: Subject,
    options: Options,
    machine: Machine,
    roots: Mapping[str, Path],
    inputs: Path,
    turn: Path | None,
) -> dict[str, Any]:
    """A worker's job: every run with its folders, of which Paddle's hold what layers are fed."""
    runs = plan.runs(framework, subject.model, options)
    for run in runs:
        for key, root in (("out", framework), ("inputs", framework), ("feed", "paddle")):
            run[key] = run[key] and str(roots[root] / run[key])
        run["after"] = run["after"] and str(roots["paddle"] / run["after"])
    return {
        "task": "runs",
        "architecture": subject.model,
        "weights": str(subject.weights[framework]),
        "inputs": str(inputs),
        "device": machine.device,
        "turn": turn and str(turn),
        "runs": runs,
    }


def tensors(subject: Subject) -> dict[str, dict[str, np.ndarray]]:
    """Each framework's weights under the scheme's names and in its layout."""
    weights: dict[Path, dict[str, np.ndarray]] = {}
    for path in subject.weights.values():
        if path not in weights:  # one file: the same arrays, which need no comparison
            recognised = weight_port.recognise(path, architecture=subject.model)
            weights[path] = dict(
                weight_port.convert(
                    recognised.tensors, "paddle1", architecture=subject.model, allow_mismatch=True
                )
            )
    return {side: weights[path] for side, path in subject.weights.items()}


def follower(
    model: str,
    roots: Mapping[str, Path],
    weights: cause.Weights,
    images: np.ndarray,
    check: Alive = lambda: None,
    keep: bool = True,
) -> Follower:
    """The follower of a network of the table."""
    sides = arch.sides(model, images.shape[-1])
    norms = (layer.name for layer in arch.layers(model) if layer.kind == "batch_norm")
    batches = {name: Batch(len(images) * sides[name][1] ** 2) for name in norms}

    def explain(
        section: Section, first: str, outputs: Mapping[str, cause.Outputs]
    ) -> dict[str, Any] | None:
        return cause.find(model, section, first, outputs, weights, images)

    return Follower(roots, weights, batches, explain, check, keep)


def compare_sections(
    model: str, sections: Sequence[Section], follower: Follower, say: Say
) -> Iterator[SectionResult]:
    """Every section in turn."""
    for number, section in enumerate(sections):
        later = {(other.kind, other.mode) for other in sections[number + 1 :]}
        say(f"{model}: {section.title}")
        yield follower.section(section, last=(section.kind, section.mode) not in later)


def epsilon_effect(root: Path) -> float | None:
    """How far PyTorch's float64 logits move with its own epsilon, as relative L2.

    None where that was not run, or the logits are not finite.
    """
    own = load_output(root / plan.OWN_EPSILON, "logits")
    ours = load_output(root / plan.folder("forward", "eval", plan.REFERENCE), "logits")
    if own is None or ours is None or own.ndim != 2 or own.shape[1:] != ours.shape[1:]:
        return None
    ours = ours[: len(own)]
    with np.errstate(all="ignore"):  # logits of zeros: 0 / 0
        effect = float(np.linalg.norm(own - ours) / np.linalg.norm(ours))
    return effect if math.isfinite(effect) else None


def start(
    framework: str, job: Mapping[str, Any], options: Options, machine: Machine, threads: int
) -> Worker:
    """A framework's worker on its job."""
    extra = _TF32 if "tf32" in options.precisions else None
    python = machine.pythons.get(framework)
    return Worker(WORKERS[framework], job, python=python, threads=threads, extra=extra)


def run(
    subject: Subject,
    options: Options = Options(),  # noqa: B008  # frozen
    machine: Machine = Machine(),  # noqa: B008
    say: Say = lambda _: None,
) -> Report:
    """Run and compare.

    Raises WorkerError where a framework can't run at all, and UsageError for a precision that would
    make a weight infinite.
    """
    threads = available_threads()
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as name, contextlib.ExitStack() as on:
        folder = Path(name)
        inputs, roots = folder / "inputs.safetensors", {f: folder / f for f in FRAMEWORKS}
        write_inputs(inputs, subject)
        workers = {}
        for side in FRAMEWORKS:
            task = job(side, subject, options, machine, roots, inputs, folder / "turn")
            workers[side] = on.enter_context(start(side, task, options, machine, threads))

        def check() -> None:
            for worker in workers.values():
                if worker.failed():
                    worker.result()

        weights = cache(lambda: tensors(subject))
        check_casts(weights(), subject.images, options.precisions)
        compared = compare_tensors(**weights())  # first: it takes no output to tell files apart
        following = follower(subject.model, roots, weights, subject.images, check, keep=False)
        sections = plan.sections(subject.model, options)
        results = tuple(compare_sections(subject.model, sections, following, say))
        frameworks = {side: worker.result() for side, worker in workers.items()}
        return Report(
            model=subject.model,
            images=tuple(subject.images.shape),
            images_sha256=digest(subject.images),
            weights=subject.origin,
            options=options,
            device=machine.device,
            frameworks=frameworks,
            threads=threads,
            results=results,
            epsilon_effect=epsilon_effect(roots["torch"]),
            tensors=compared,
        )
