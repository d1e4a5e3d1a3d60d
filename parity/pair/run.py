"""The run of a pair: both sides built and traced, matched, run, and compared as they compute."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import weight_port
from parity.comparison.weights import TensorComparison, compare_tensors
from parity.pair import plan
from parity.pair.causes.explain import Evidence, explained
from parity.pair.matching import weights
from parity.pair.matching.match import match
from parity.pair.plan import Layout
from parity.pair.settings import Settings
from parity.pair.sides.worker import PLAN, STATE, TRACE, wait_for, write_json, write_tensors
from parity.run import run as engine
from parity.run.follower import Follower
from parity.run.inputs import UsageError, check_casts
from parity.run.plan import Options
from parity.run.results import FRAMEWORKS, Machine, Outcome, SectionResult
from parity.workers.launch import Worker, available_threads

WORKERS = {side: f"parity.pair.sides.worker_{side}" for side in FRAMEWORKS}
_TF32 = {"NVIDIA_TF32_OVERRIDE": None}
Arrays = dict[str, np.ndarray]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Report(Outcome):
    """The result of a pair's run."""

    settings: Settings
    inputs: Mapping[str, np.ndarray]
    options: Options
    optimizer: str
    origin: Mapping[str, str]  # of each side's weights
    device: str
    frameworks: Mapping[str, Mapping[str, Any]]
    threads: int
    layout: Layout
    results: tuple[SectionResult, ...]
    tensors: TensorComparison


def digest(inputs: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the inputs' names and bytes."""
    total = hashlib.sha256()
    for name, array in inputs.items():
        total.update(f"{name} {array.dtype} {array.shape}\n".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def run(
    settings: Settings,
    inputs: Mapping[str, np.ndarray],
    options: Options,
    machine: Machine,
    seed: int = 0,
    optimizer: str = "sgd",
    say: Say = lambda _: None,
) -> Report:
    """Run and compare.

    Raises UsageError where a side can't be built, and WorkerError where its framework can't run.
    """
    threads = available_threads()
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as name, contextlib.ExitStack() as on:
        folder = Path(name)
        roots = {side: folder / side for side in FRAMEWORKS}
        write_tensors(folder / "inputs.safetensors", inputs)

        def start(side: str, root: Path) -> Worker:
            job = _job(side, settings, inputs, machine, folder, root, seed)
            python = machine.pythons.get(side) or settings.sides[side].python
            extra = _TF32 if "tf32" in options.precisions else None
            return Worker(WORKERS[side], job, python=python, threads=threads, extra=extra)

        workers = {side: on.enter_context(start(side, roots[side])) for side in FRAMEWORKS}

        def check() -> None:
            for worker in workers.values():
                if worker.failed():
                    worker.result()

        layout = _layout(settings, roots, check)
        say(f"{settings.name}: {len(layout.matching.matches)} layers matched")
        held = _weights(settings, layout, roots)
        check_casts(held, np.zeros(0), options.precisions)
        _start(layout, options, optimizer, roots)
        batches = plan.batches(layout)
        follower = Follower(roots, lambda: held, batches, check=check, keep=False)
        floating = [name for name, array in inputs.items() if array.dtype.kind == "f"]
        sections = plan.sections(layout, options, floating)
        results = tuple(engine.compare_sections(settings.name, sections, follower, say))
        frameworks = {side: worker.result() for side, worker in workers.items()}
        if any(not result.passed and not result.error for result in results):
            evidence = Evidence(layout, held, inputs, _plans(layout, options, optimizer, roots))
            results = explained(results, evidence, folder / "again", start, say)
        return Report(
            settings=settings,
            inputs=inputs,
            options=options,
            optimizer=optimizer,
            origin=_origin(settings, seed),
            device=machine.device,
            frameworks=frameworks,
            threads=threads,
            layout=layout,
            results=results,
            tensors=compare_tensors(**held),
        )


def _job(
    side: str,
    settings: Settings,
    inputs: Mapping[str, np.ndarray],
    machine: Machine,
    folder: Path,
    root: Path,
    seed: int,
) -> dict[str, Any]:
    """A side's job, whose files are to be in ``root``; the inputs are beside the first one's."""
    own = settings.sides[side]
    return {
        "make": own.make,
        "path": str(own.folder.absolute()),
        "weights": own.weights and str(own.weights.absolute()),
        "inputs": str(folder / "inputs.safetensors"),
        "arguments": list(inputs),
        "device": machine.device,
        "folder": str(root),
        "turn": str(folder / "turn"),
        "seed": seed,
    }


def _layout(settings: Settings, roots: Mapping[str, Path], check: Callable[[], None]) -> Layout:
    """What both sides are and how they belong together. Raises UsageError."""
    traces = {side: wait_for(roots[side] / TRACE, check) for side in FRAMEWORKS}
    for side, trace in traces.items():
        if trace["error"]:
            raise UsageError(f"{side}'s side: {trace['error']}")
    names = {**_implied(traces, settings.weights), **settings.names}
    matching = match(traces["torch"], traces["paddle"], names)
    entries = weights.weight_map(traces["torch"], traces["paddle"], matching, settings.weights)
    return Layout(traces["torch"], traces["paddle"], matching, entries)


def _implied(traces: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """The layers that a map of weights says belong together: those that own the tensors."""
    ran = {side: {call["path"] for call in trace["calls"] if call["leaf"]}
           for side, trace in traces.items()}  # fmt: skip
    owner = {side: {row["key"]: row["path"] for row in trace["tensors"] if row["path"] in ran[side]}
             for side, trace in traces.items()}  # fmt: skip
    pairs = ((owner["torch"].get(a), owner["paddle"].get(b)) for a, b in given.items())
    return {a: b for a, b in pairs if a and b}


def _weights(settings: Settings, layout: Layout, roots: Mapping[str, Path]) -> dict[str, Arrays]:
    """Both sides' tensors under Paddle's names; those of a side without a file are carried over.

    A file of the tensors to carry lies in that side's folder then.
    """
    states = {side: weight_port.read(roots[side] / STATE) for side in FRAMEWORKS}
    mine = weights.to_paddle(layout.entries, states["torch"])
    theirs = {entry.target: states["paddle"][entry.target] for entry in layout.entries}
    given = {side: settings.sides[side].weights is not None for side in FRAMEWORKS}
    if given["torch"] and given["paddle"]:
        return {"torch": mine, "paddle": theirs}
    if given["paddle"]:
        carried = weights.to_torch(layout.entries, states["paddle"])
        write_tensors(roots["torch"] / "carried.safetensors", carried)
        return {"torch": theirs, "paddle": theirs}
    write_tensors(roots["paddle"] / "carried.safetensors", mine)
    return {"torch": mine, "paddle": mine}


def _origin(settings: Settings, seed: int) -> dict[str, str]:
    files = {side: settings.sides[side].weights for side in FRAMEWORKS}
    first = next((side for side in ("paddle", "torch") if files[side]), "torch")
    drawn = f"as torch's side builds them, from seed {seed}; tensors of one value made to vary"
    return {
        side: str(path) if path else drawn if side == first else f"carried over from {first}'s"
        for side, path in files.items()
    }


def _start(layout: Layout, options: Options, optimizer: str, roots: Mapping[str, Path]) -> None:
    """Give both workers their plans."""
    for side, planned in _plans(layout, options, optimizer, roots).items():
        write_json(roots[side] / PLAN, planned)


def _plans(
    layout: Layout, options: Options, optimizer: str, roots: Mapping[str, Path]
) -> dict[str, dict[str, Any]]:
    """Each worker's plan: the tensors that are carried over to it, and its runs."""
    plans = {}
    for side in FRAMEWORKS:
        runs = plan.runs(side, layout, options, optimizer)
        for each in runs:
            for key, root in (("out", side), ("inputs", side), ("feed", "paddle")):
                each[key] = each[key] and str(roots[root] / each[key])
            each["after"] = each["after"] and str(roots["paddle"] / each["after"])
        carried = roots[side] / "carried.safetensors"
        held = str(carried) if carried.exists() else None
        plans[side] = {"carried": held, "runs": runs}
    return plans


def plain(layout: Layout) -> dict[str, Any]:
    """The matching as plain data, for the record."""
    names = layout.names()
    matches = [
        {
            "name": names[one.torch, one.paddle],
            "torch": layout.torch["calls"][one.torch]["call"],
            "paddle": layout.paddle["calls"][one.paddle]["call"],
            "type": kind(layout, one.torch, one.paddle),
            "confidence": one.confidence,
            "evidence": list(one.evidence),
        }
        for one in layout.matching.matches
    ]
    left = weights.unmapped(layout.torch, layout.paddle, layout.entries)
    return {
        "layers": matches,
        "unmatched": {side: list(calls) for side, calls in layout.matching.unmatched.items()},
        "weights": [json.loads(json.dumps(vars(entry))) for entry in layout.entries],
        "unmapped": {side: list(keys) for side, keys in left.items()},
    }


def kind(layout: Layout, torch: int, paddle: int) -> str:
    """The kind of a matched layer: the table's, else the class's name."""
    call = layout.paddle["calls"][paddle]
    if not call["leaf"]:
        return "container"
    mine = layout.torch["calls"][torch]
    known = next((side["kind"] for side in (call, mine) if side["kind"] != "other"), None)
    return known or str(call["class"])
