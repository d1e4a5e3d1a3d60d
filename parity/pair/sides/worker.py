"""What the halves of a pair share: the trace of an execution, the hooks of a run, the job's course.

It imports no framework. A half builds its side, writes its tensors and its ``trace.json``, waits
for the parent's plan (what is matched with what, and the tensors that are carried over), and does
the runs of that plan.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import weight_port
from parity.comparison.known_differences import as_float32
from parity.comparison.nil import NIL
from parity.comparison.precision import PRECISIONS
from parity.pair.matching import kinds
from parity.pair.sides import nests
from parity.pair.sides.build import BuildError
from parity.pair.sides.side import Run, Side
from parity.pair.sides.trace import traced
from parity.workers import worker
from weight_port.formats import safetensors

Arrays = dict[str, np.ndarray]
TRACE, PLAN, STATE = "trace.json", "plan.json", "state.safetensors"
_PAUSE = 0.005  # seconds between two looks


# -- files that appear whole


def write_json(path: Path, value: Any) -> None:
    """Write a file that another process waits for."""
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(value))
    unfinished.rename(path)


def wait_for(path: Path, check: Callable[[], None]) -> Any:
    """The JSON in a file, once it is there; ``check`` raises where it will not be."""
    while not path.exists():
        check()
        time.sleep(_PAUSE)
    return json.loads(path.read_text())


def _parent_lives(parent: int) -> Callable[[], None]:
    def check() -> None:
        if os.getppid() != parent:
            raise SystemExit("the parent has ended")

    return check


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write a safetensors file."""
    with open(path, "wb") as stream:
        safetensors.write(stream, dict(tensors))


# -- tensors


def spread(tensors: Mapping[str, np.ndarray], seed: int) -> Arrays:
    """What a side was built with, where tensors of one value are made to vary.

    Ones and zeros, as norms start with, would hide a tensor that is another layer's.
    """
    random = np.random.default_rng(seed)
    spread = {}
    for name, array in tensors.items():
        if array.size > 1 and array.dtype.kind == "f" and np.ptp(array) == 0:
            noise = random.standard_normal(array.shape)
            value = float(array.reshape(-1)[0])
            moved = 0.1 * noise if value == 0 else value * (1 + 0.1 * np.tanh(noise))
            array = moved.astype(array.dtype)
        spread[name] = array
    return spread


def canonical(
    run: Run, tensors: Mapping[str, Any], to_array: Callable[[Any], np.ndarray]
) -> Arrays:
    """Tensors by their keys in this side, under the plan's names and in its layout."""
    arrays: Arrays = {}
    for row in run["tensors"]:
        tensor = tensors.get(row["key"])
        if tensor is None:
            continue
        array = to_array(tensor)
        if row["part"] is not None:
            number, count = row["part"]
            array = np.split(array, count)[number]
        if row["order"]:
            array = np.ascontiguousarray(array.transpose(row["order"]))
        arrays[row["name"]] = array
    return arrays


def gradients_size(gradients: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The root mean square of each gradient."""
    wide = {name: array.astype(np.float64) for name, array in gradients.items()}
    return {name: float(np.sqrt(np.mean(array**2))) for name, array in wide.items()}


def reaches(
    run: Run, gradients: Arrays, before: Mapping[str, float], rate: float
) -> dict[str, float]:
    """How far an optimizer that divides by the gradient's size may have moved nil ones so far.

    By the names of the parameters whose gradient is rounding about zero. A step of Adam's is at
    most (1 - beta1) / sqrt(1 - beta2) = 3.2 times the rate; two sides may go opposite ways.
    """
    if run["optimizer"] == "sgd":
        return {}
    sizes = gradients_size(gradients)
    least = NIL * PRECISIONS["float64"].epsilon * max(sizes.values(), default=0.0)
    return {name: before.get(name, 0.0) + 6.4 * rate
            for name, size in sizes.items() if size <= least}  # fmt: skip


def target(shape: tuple[int, ...], seed: int, number: int) -> np.ndarray:
    """What an output is drawn towards by the loss: normal values, the same on both sides."""
    return np.random.default_rng([seed, 1, number]).standard_normal(shape)


# -- what both sides are to compute alike


def same_norms(side: Side) -> None:
    """Have norms use what Paddle stores: epsilon and momentum as float32."""
    for _, module in side.modules():
        kind = kinds.kind_of(module, side.framework)
        if kind is not None and kind.name in kinds.NORMS:
            if getattr(module, "eps", None) is not None:
                module.eps = as_float32(module.eps)
            if kind.name == "batch_norm" and module.momentum is not None:
                module.momentum = 1 - as_float32(1 - module.momentum)


def no_dropout(side: Side) -> None:
    """Switch dropout off: what it drops is drawn, and no two frameworks drop the same."""
    for _, module in side.modules():
        kind = kinds.kind_of(module, side.framework)
        if kind is not None and kind.name == "dropout":
            module.p = 0.0
        elif kind is not None and isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0  # attention's and a recurrent layer's own


# -- the course of a job


def work_on(job: Mapping[str, Any], build: Callable[[Mapping[str, Any]], Side]) -> dict[str, Any]:
    """Build, trace, wait for the plan, and do its runs; returns what the framework is and has."""
    parent, folder = os.getppid(), Path(job["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    try:
        side = build(job)
        _begin(side, job, folder)
    except Exception as error:  # whatever the user's code raises
        named = str(error) if isinstance(error, BuildError) else f"{type(error).__name__}: {error}"
        write_json(folder / TRACE, {"error": " ".join(named.split())})
        return {}
    plan = wait_for(folder / PLAN, _parent_lives(parent))
    if plan["carried"]:
        side.put(weight_port.read(Path(plan["carried"])))
    tasks = {"forward": side.forward, "gradients": side.gradients, "train": side.train}
    worker.do_runs({"runs": plan["runs"], "turn": job["turn"]}, tasks, side.end)
    return side.describe()


def _begin(side: Side, job: Mapping[str, Any], folder: Path) -> None:
    """Give the side its tensors, and write them and its trace."""
    if job["weights"]:
        side.load(weight_port.read(Path(job["weights"])))
    else:
        side.put(spread(_state(side), job["seed"]))
    write_tensors(folder / STATE, _state(side))
    write_json(folder / TRACE, {"error": None, **traced(side)})


def _state(side: Side) -> Arrays:
    return {key: side.to_array(tensor) for key, tensor in side.tensors()}


def arguments(side: Side, job: Mapping[str, Any], run: Run) -> tuple[dict[str, Any], list[Any]]:
    """(inputs by name, the positional arguments) of a pass, in the run's precision."""
    arrays = weight_port.read(Path(job["inputs"]))
    flat = {name: side.tensor(arrays[name], run) for name in job["arguments"]}
    return flat, nests.grown(flat)
