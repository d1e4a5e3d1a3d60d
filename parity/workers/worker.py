"""What the workers of both frameworks share: their runs' files, hooks and turns.

It imports no framework.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import weight_port
from parity.comparison.precision import PRECISIONS
from parity.workers.outputs import DONE, load_output, mark_done, save_output
from weight_port import arch
from weight_port.dialects import keys

Run = dict[str, Any]


class Session(Protocol):
    """One network in one framework on one device; every run starts from the job's weights."""

    names: dict[str, str]  # see ``paths``

    def tensor(self, array: np.ndarray, run: Run) -> Any:
        """The array on the device, in the run's precision."""

    def forward(self, run: Run) -> None:
        """Save the logits and, as they are computed, every named layer's output."""

    def gradients(self, run: Run) -> None:
        """Save the loss and its gradients by the images and by every parameter."""

    def train(self, run: Run) -> None:
        """Steps of SGD; after each, save the loss, the parameters and the statistics."""

    def end(self) -> None:
        """Leave the model as it was built."""


AUXILIARY = 0.3  # weight of an auxiliary classifier's loss: Szegedy et al. (2014), section 5


def inputs(job: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """(images (N, C, H, W) float32, labels (N,) int64) of a job."""
    tensors = weight_port.read(job["inputs"])
    return tensors["images"], tensors["labels"]


def batch(images: np.ndarray, step: int) -> np.ndarray:
    """The batch of a training step; every second one is mirrored, so that neighbours differ."""
    return np.ascontiguousarray(images[..., ::-1]) if step % 2 else images


def paths(architecture: str) -> dict[str, str]:
    """The scheme's names of the layers, by the paths of their modules."""
    return {layer.path: layer.name for layer in arch.layers(architecture)}


def scheme(
    dialect: str, architecture: str, tensors: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """Tensors under the scheme's names and in its layout; the batch norms' counters left out."""
    for key, entry in keys.keys(dialect, architecture).items():
        if entry.parameter is not None and key in tensors:
            array = tensors[key]
            yield entry.name, array.transpose(np.argsort(entry.order)) if entry.order else array


def fed(run: Run, name: str) -> np.ndarray:
    """The reference's input of a layer, rounded as the run asks. Raises FileNotFoundError."""
    array = load_output(Path(run["feed"]), name)
    if array is None:
        raise FileNotFoundError(f"{run['feed']}: no input of {name}")
    return rounded(run, array)


def rounded(run: Run, array: np.ndarray) -> np.ndarray:
    """The values that a run of that precision would start from, in float64 too."""
    if run["rounded"] is None:
        return array
    return array.astype(PRECISIONS[run["rounded"]].numpy).astype(np.float64)


def saver(folder: str | Path) -> Callable[[str, np.ndarray], None]:
    """``save(name, array)`` into a folder."""
    where = Path(folder)
    where.mkdir(parents=True, exist_ok=True)
    return lambda name, array: save_output(where, name, array)


def watch(
    session: Session,
    run: Run,
    modules: Iterable[tuple[str, Any]],
    register_after: Callable[[Any, Callable[..., None]], Any],
    to_array: Callable[[Any], np.ndarray],
) -> list[Any]:
    """Hooks that save every named layer's output before anything changes it.

    They save its input too where the run names a folder for it, or replace it by another run's.
    ``modules`` are the network's, by path; ``register_after(module, hook)`` is the framework's way
    to have ``hook`` called after a forward pass.
    """
    save = saver(run["out"])
    keep = saver(run["inputs"]) if run["inputs"] else None

    def before(name: str) -> Callable[..., Any]:
        def hook(_module: Any, arguments: tuple[Any, ...]) -> Any:
            if keep is not None:
                keep(name, to_array(arguments[0]))
            return session.tensor(fed(run, name), run) if run["feed"] else None

        return hook

    def after(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: save(name, to_array(output))

    hooks = []
    for path, module in modules:
        if name := session.names.get(path):
            hooks.append(module.register_forward_pre_hook(before(name)))
            hooks.append(register_after(module, after(name)))
    return hooks


def work_on(
    job: Mapping[str, Any],
    session: Callable[[Mapping[str, Any]], Session],
    calibrate: Callable[[Mapping[str, Any]], None],
) -> None:
    """Do what the job asks: "runs", "calibrate", or "describe" (nothing)."""
    if job["task"] == "calibrate":
        calibrate(job)
    elif job["task"] == "runs":
        network = session(job)
        tasks = {"forward": network.forward, "gradients": network.gradients, "train": network.train}
        do_runs(job, tasks, network.end)


@contextlib.contextmanager
def _turn(path: str | None) -> Iterator[None]:
    """Hold the lock that lets one worker compute at a time: each is meant to have every core."""
    if path is None:
        yield
        return
    import fcntl

    with open(path, "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _wait_for(folder: str | None) -> None:
    """Wait until the run whose outputs this one is fed with has ended."""
    while folder is not None and not Path(folder, DONE).exists():
        time.sleep(0.01)


def do_runs(
    job: Mapping[str, Any],
    tasks: Mapping[str, Callable[[Run], None]],
    end: Callable[[], None] = lambda: None,
) -> None:
    """Do every run of a job in order; one that fails is marked so, and the others follow.

    ``end`` is called after each, however it went.
    """
    for run in job["runs"]:
        folder = Path(run["out"])
        folder.mkdir(parents=True, exist_ok=True)
        _wait_for(run["after"])
        error = None
        with _turn(job["turn"]):
            try:
                tasks[run["task"]](run)
            except Exception as problem:  # a kernel that is not there, or no memory left
                error = f"{type(problem).__name__}: {str(problem).strip() or 'no reason given'}"
            end()
        mark_done(folder, {"error": error})
