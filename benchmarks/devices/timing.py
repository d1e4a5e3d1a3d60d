"""The clock: one forward pass between two events, repeated until there is enough of it.

The order is the point: synchronise, record, run, record, synchronise. ``Device`` is what a
framework must give for it; ``cpu_device``, ``torch_device`` and ``paddle_device`` are the three.

Stopping when the noise is low can bias what is measured: who looks often enough stops in a lucky
moment. Against that: the minima hold first; the noise is looked at a few times only, at counts
that grow by a quarter; it is the width of an interval, never its place, so neither a fast nor a
slow median ends a process sooner (as in the fixed-width intervals of Chow & Robbins 1965, "On the
asymptotic theory of fixed-width sequential confidence intervals for the mean"). All samples stay,
with the reason for the end; and no interval in a table is this one: those are over processes.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from benchmarks.stats import median_noise

GROWTH = 1.25  # from one look at the noise to the next, in samples


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
    """How long a process measures: both minima and then the noise, unless a maximum comes first.

    ``max_noise`` is of ``intervals.median_noise`` on the device's clock; None: the minima are
    enough. ``patience`` is how many seconds after the minima it is waited for.
    """

    warmup: int = 3
    min_count: int = 5
    min_seconds: float = 1.0
    max_count: int = 2000
    max_seconds: float = 120.0
    max_noise: float | None = None
    patience: float = 1.0

    def enough(self, count: int, seconds: float) -> bool:
        """Whether ``count`` passes in ``seconds`` reach both minima."""
        return count >= self.min_count and seconds >= self.min_seconds


class Stop:
    """Says when a process may end, and why: "count", "time", "minima" or "noise"."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._since = math.inf  # seconds at which the minima were reached
        self._look = 0  # samples at which to look at the noise again

    def reason(self, times: Sequence[int], seconds: float) -> str | None:
        """Why these times, taken in ``seconds``, may be all; None where they may not."""
        plan, count = self._plan, len(times)
        if count >= plan.max_count:
            return "count"
        if seconds >= plan.max_seconds:
            return "time"
        if not plan.enough(count, seconds):
            return None
        if plan.max_noise is None:
            return "minima"
        self._since = min(self._since, seconds)
        if count >= self._look:
            self._look = math.ceil(count * GROWTH)
            if median_noise(times) <= plan.max_noise:
                return "noise"
        return "time" if seconds - self._since >= plan.patience else None


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


class Measured(NamedTuple):
    """Nanoseconds by clock, an entry per pass, and why there are no more: see ``Stop``."""

    samples: dict[str, list[int]]
    stopped: str


def measure(step: Callable[[], Any], device: Device, plan: Plan) -> Measured:
    """Raw samples of ``step()``, each clock's under its name, after the plan's warm-up."""
    for _ in range(plan.warmup):
        step()
    samples: dict[str, list[int]] = {"device_ns": [], "wall_ns": [], "enqueue_ns": []}
    stop, stopped = Stop(plan), None
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()  # as timeit does: a collection in the middle of a pass is no part of it
    try:
        begin = time.perf_counter()
        while stopped is None:
            for clock, value in once(step, device).items():
                samples[clock].append(value)
            stopped = stop.reason(samples["device_ns"], time.perf_counter() - begin)
    finally:
        if collecting:
            gc.enable()
    return Measured(samples, stopped)


def repeat(step: Callable[[], Any], device: Device, plan: Plan) -> dict[str, list[int]]:
    """The samples of ``measure``."""
    return measure(step, device, plan).samples
