"""What the two workers share: a run's files and turns. No framework here."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import weight_port
from parity.comparison.precision import PRECISIONS
from parity.workers.outputs import DONE, load_output, save_output, say_done
from weight_port import arch
from weight_port.dialects import keys

Run = dict[str, Any]
AUXILIARY = 0.3  # weight of an auxiliary classifier's loss: Szegedy et al. (2014), section 5


def inputs(job: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """(images (N, C, H, W) float32, labels (N,) int64) of a job."""
    found = weight_port.read(job["inputs"])
    return found["images"], found["labels"]


def batch(images: np.ndarray, step: int) -> np.ndarray:
    """The batch of a training step: every other one is mirrored, so that no two that follow
    each other are the same."""
    return np.ascontiguousarray(images[..., ::-1]) if step % 2 else images


def paths(architecture: str) -> dict[str, str]:
    """From the path of a module to the scheme's name of its layer."""
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
    """The reference's input of a layer, rounded as the run asks."""
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
    """Every run of a job in order; one that fails is marked so, and the others go on.

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
        say_done(folder, {"error": error})
