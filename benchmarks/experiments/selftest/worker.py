"""The selftest's process: a NumPy workload timed as forward passes are. It needs no framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.devices import device_cpu
from benchmarks.devices.timing import Plan, measure
from parity.workers.launch import serve

Array = np.ndarray[Any, Any]


def make_step(size: int, repetitions: int) -> Callable[[], Array]:
    """``repetitions`` products of the same two (size, size) float32 matrices; gives the last."""
    random = np.random.default_rng(0)
    a, b = random.random((2, size, size), dtype=np.float32)
    out: Array = np.empty_like(a)

    def step() -> Array:
        for _ in range(repetitions):
            np.matmul(a, b, out=out)
        return out

    return step


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Samples of one cell. On a CPU the device's clock is the wall's: one of them is enough."""
    found = measure(make_step(job["size"], job["repetitions"]), device_cpu, Plan(**job["plan"]))
    return {"device_ns": found.samples["device_ns"], "stopped": found.stopped}


if __name__ == "__main__":
    serve(work)
