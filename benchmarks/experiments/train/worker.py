"""What the processes of ``python -m benchmarks train`` share: three kinds of blocks, by turns.

This file imports no framework.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from training.data import batches
from training.data.cifar import CLASSES, SIDE, Cifar
from training.loop import epochs
from training.loop.epochs import draw
from training.loop.side import How, Make

Batches = list[tuple[np.ndarray, np.ndarray]]
Bare = Callable[[dict[str, Any], How, Batches], Callable[[], float]]
LOOP, BARE, FEED = "loop", "bare", "feed"


def images(count: int, seed: int) -> Cifar:
    """Noise in CIFAR-10's form: what is trained on makes no step slower."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (count, 3, SIDE, SIDE), dtype=np.uint8)
    return Cifar(pixels, random.integers(0, len(CLASSES), count))


def weights(settings: dict[str, Any]) -> dict[str, np.ndarray]:
    """Those that both loops begin with."""
    return draw(settings["model"], settings["seed"], len(CLASSES))


def _check(loop_loss: float, bare_loss: float) -> None:
    """Both began with the same weights on the same images: no speed without that."""
    if not math.isclose(loop_loss, bare_loss, rel_tol=1e-3):
        raise RuntimeError(
            f"the bare loop is another training: a loss of {bare_loss}, the loop's is {loop_loss}"
        )


def _time(name: str, call: Callable[[], Any]) -> int:
    """Nanoseconds of an epoch. Raises RuntimeError where a loop's loss is not finite any more."""
    begin = time.perf_counter_ns()
    outcome = call()
    elapsed = time.perf_counter_ns() - begin
    if name != FEED and not math.isfinite(outcome):
        raise RuntimeError(f"the {name} loop's loss became {outcome} while it was timed")
    return elapsed


def measure(make: Make, bare: Bare, job: dict[str, Any]) -> dict[str, list[int]]:
    """Nanoseconds of an epoch, ``job["repeats"]`` times for each of three that take turns.

    The three are the training's own loop with its data path, progress and bookkeeping (without
    evaluation and checkpoint), the bare loop, and the data path alone; an epoch has
    ``job["steps"]`` steps. A first epoch of each is not timed: raises RuntimeError where the two
    loops' losses differ, or one is no number at the end of an epoch that was timed.
    """
    settings, how = job["settings"], How(**job["how"])
    part = images(settings["batch"] * job["steps"], settings["seed"])
    side, state = make(settings, how), epochs.begin(settings)
    side.put(state.weights, {})

    def feed() -> Batches:
        return list(batches.epoch(part, settings["batch"], settings["seed"], 0))

    calls: dict[str, Callable[[], Any]] = {
        LOOP: lambda: epochs.train_epoch(side, state, part, job["framework"])["train_loss"],
        BARE: bare(settings, how, feed()),
        FEED: feed,
    }
    times: dict[str, list[int]] = {name: [] for name in calls}
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        _check(calls[LOOP](), calls[BARE]())
        for turn in range(job["repeats"]):
            for name in list(calls)[:: -1 if turn % 2 else 1]:
                times[name].append(_time(name, calls[name]))
    return times
