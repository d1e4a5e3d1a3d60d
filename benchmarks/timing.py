"""The clock: one forward pass between two events, repeated until there is enough of it.

The order is the point: synchronise, record, run, record, synchronise. ``Device`` is what a
framework must give for it; ``cpu_device``, ``torch_device`` and ``paddle_device`` are the three.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Device(Protocol):
    """Five functions over the current device: a module, in practice."""

    def describe(self) -> dict[str, Any] | None:
        """What the device is; None where this process has none."""

    def synchronise(self) -> None:
        """Wait until the device has done all that was enqueued."""

    def record(self) -> Any:
        """Put a timestamp into the device's queue."""

    def elapsed_ns(self, start: Any, end: Any) -> int:
        """Nanoseconds between two timestamps; both must have passed."""

    def memory_peaks(self) -> dict[str, int]:
        """The framework allocator's peaks in bytes, from the start of the process."""


@dataclass(frozen=True)
class Plan:
    """How long a process measures: both minima, unless a maximum comes first."""

    warmup: int = 3
    min_count: int = 5
    min_seconds: float = 1.0
    max_count: int = 2000
    max_seconds: float = 120.0

    def enough(self, count: int, seconds: float) -> bool:
        """Whether ``count`` passes in ``seconds`` may be the last."""
        minima = count >= self.min_count and seconds >= self.min_seconds
        return minima or count >= self.max_count or seconds >= self.max_seconds


def once(step: Callable[[], Any], device: Device) -> dict[str, int]:
    """One ``step()``: nanoseconds on the device's clock, on the wall, and until it was enqueued."""
    device.synchronise()
    begin = time.perf_counter_ns()
    start = device.record()
    output = step()
    end = device.record()
    enqueued = time.perf_counter_ns()
    device.synchronise()
    done = time.perf_counter_ns()
    del output  # freed outside the clock, whichever framework's allocator it is
    return {
        "device_ns": device.elapsed_ns(start, end),
        "wall_ns": done - begin,
        "enqueue_ns": enqueued - begin,
    }


def repeat(step: Callable[[], Any], device: Device, plan: Plan) -> dict[str, list[int]]:
    """Raw samples of ``step()``, each clock's under its name, after the plan's warm-up."""
    for _ in range(plan.warmup):
        step()
    samples: dict[str, list[int]] = {"device_ns": [], "wall_ns": [], "enqueue_ns": []}
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()  # as timeit does: a collection in the middle of a pass is no part of it
    try:
        begin, count = time.perf_counter(), 0
        while not count or not plan.enough(count, time.perf_counter() - begin):
            for clock, value in once(step, device).items():
                samples[clock].append(value)
            count += 1
    finally:
        if collecting:
            gc.enable()
    return samples
