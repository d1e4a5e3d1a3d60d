"""What both frameworks share of a network's steps: each is checked, then timed.

This file imports no framework.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.devices.timing import Device, Measured, Plan, measure
from benchmarks.harness import worker
from parity.workers.outputs import load_output, save_output

Array = np.ndarray[Any, Any]
Step = Callable[[], Any]
Visit = Callable[[str, str, Step], None]  # (name, kind) as in costs.order, and what does the step

# Of each step, once in each walk: there are hundreds, and a short one needs few samples. Another
# program's burst is longer than that, so that it takes a step's samples whole: the next walk has
# others.
STEP_PLAN = Plan(warmup=3, min_count=3, min_seconds=0.015, max_count=25, max_seconds=0.5)
WALKS = 2
# Of the whole pass, before the steps and again after them, so that drift falls on both alike.
PASS_PLAN = Plan(warmup=3, min_count=5, min_seconds=0.5, max_seconds=30.0)
# Images whose layers are compared; the logits of all of them are.
COMPARED = 1


@dataclass(frozen=True)
class Network:
    """What a framework gives: a pass, the same pass with a visit at every step, and arrays."""

    forward: Step
    walk: Callable[[Visit], None]
    to_array: Callable[[Any], Array]


# torch's adds in place, as its network does: each call gives another sum; the first is compared.
_IN_PLACE = "add"


def file_name(name: str, kind: str) -> str:
    """Under which a step's reference is kept."""
    return f"{name}.{kind}"


def keep(network: Network, folder: str) -> None:
    """Save what every step gives for the first image, as the reference of ``measure``."""

    def visit(name: str, kind: str, step: Step) -> None:
        output = network.to_array(step())[:COMPARED]
        save_output(Path(folder), file_name(name, kind), output)

    network.walk(visit)


def _compared(output: Array, folder: str, name: str, kind: str) -> dict[str, Any]:
    """Parity of what a step gave for the first image."""
    reference = load_output(Path(folder), file_name(name, kind))
    if reference is None:
        error = "parity: the reference has no such step"
        return {"max_abs": None, "relative_l2": None, "error": error}
    return worker.check(output[:COMPARED], reference, "fp32")


def _steps(network: Network, device: Device, folder: str) -> list[dict[str, Any]]:
    """Every step on its real input, timed by itself while the pass waits, compared at both ends."""
    visited = []

    def visit(name: str, kind: str, step: Step) -> None:
        parity = _compared(network.to_array(step()), folder, name, kind)
        device_ns = None
        if not parity["error"]:
            times = measure(step, device, STEP_PLAN).samples["device_ns"]
            if kind != _IN_PLACE:
                after = _compared(network.to_array(step()), folder, name, kind)
                parity = worker.both(parity, after)
            device_ns = None if parity["error"] else times
        visited.append({"name": name, "kind": kind, "parity": parity, "device_ns": device_ns})

    network.walk(visit)
    return visited


def _pooled(walks: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The steps of several walks as one: all their samples, and the first parity that failed."""
    pooled = []
    for same in zip(*walks, strict=True):
        parity = next((s["parity"] for s in same if s["parity"]["error"]), same[0]["parity"])
        device_ns = None if parity["error"] else [ns for s in same for ns in s["device_ns"]]
        pooled.append({**same[0], "parity": parity, "device_ns": device_ns})
    return pooled


def measure_steps(network: Network, device: Device, job: dict[str, Any]) -> dict[str, Any]:
    """Parity of the logits; the whole pass, every step, the whole pass again, and its parity."""
    reference = worker.load_array(job["reference"], "logits")
    parity = worker.check(network.to_array(network.forward()), reference, "fp32")
    if parity["error"]:
        return {"parity": parity, "device_ns": None, "steps": []}
    gc.freeze()  # else the collection before every step goes through all that was ever imported
    before: Measured = measure(network.forward, device, PASS_PLAN)
    steps = _pooled([_steps(network, device, job["steps"]) for _ in range(WALKS)])
    after: Measured = measure(network.forward, device, PASS_PLAN)
    last = worker.check(network.to_array(network.forward()), reference, "fp32")
    parity = worker.both(parity, last)
    if parity["error"]:
        return {"parity": parity, "device_ns": None, "steps": []}
    whole = [*before.samples["device_ns"], *after.samples["device_ns"]]
    return {"parity": parity, "device_ns": whole, "steps": steps}
