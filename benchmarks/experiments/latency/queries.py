"""Queries and their times: when they arrive, one server that takes them in order, what they waited.

Pure functions of a service and a clock. Four ways in which queries come, as in Reddi et al.,
"MLPerf Inference Benchmark" (2020): the next one when the last is answered (single-stream,
multi-stream), all at once (offline), or at moments that a Poisson process sets in advance (server).

A server's latency counts from the moment for which a query was *scheduled*. Counted from when it
was begun, a stall would show in the one query that was at work, and not in those that had come
meanwhile and waited: "coordinated omission" (Tene, "How NOT to measure latency", 2013).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]
Service = Callable[[], Any]  # answers one query; returns when the answer is there

SPIN_NS = 1_000_000  # the end of a wait, which a sleep would overrun, is spent looking at the clock


class Clock(Protocol):
    """Nanoseconds from any origin."""

    def now(self) -> int:
        """The moment."""

    def wait_until(self, moment: int) -> None:
        """Return at ``moment``, or at once if it has passed."""


class WallClock:
    """The machine's monotonic clock."""

    def now(self) -> int:
        """As ``Clock``."""
        return time.perf_counter_ns()

    def wait_until(self, moment: int) -> None:
        """As ``Clock``."""
        while (left := moment - self.now()) > 0:
            if left > SPIN_NS:
                time.sleep((left - SPIN_NS) / 1e9)


@dataclass(frozen=True)
class Query:
    """Nanoseconds on one clock."""

    scheduled: int  # when it came
    started: int  # when the server turned to it
    ended: int

    @property
    def latency(self) -> int:
        """What who sent it waited for the answer."""
        return self.ended - self.scheduled


def poisson(per_second: float, count: int, seed: int | list[int]) -> Array:
    """Nanoseconds (int64) from the begin to each of ``count`` arrivals of a Poisson process."""
    gaps = np.random.default_rng(seed).exponential(1e9 / per_second, count)
    arrivals: Array = np.cumsum(gaps).round().astype(np.int64)
    return arrivals


def open_loop(serve: Service, clock: Clock, arrivals: Iterable[int]) -> list[Query]:
    """Queries that come when they come, the server free or not; first come, first served.

    ``arrivals`` are nanoseconds from now, in order. The server and its queue need no second thread:
    who arrives while it is busy was scheduled all the same, and is begun when it is free.
    """
    begin, answered = clock.now(), []
    for arrival in arrivals:
        scheduled = begin + int(arrival)
        clock.wait_until(scheduled)
        started = clock.now()
        serve()
        answered.append(Query(scheduled, started, clock.now()))
    return answered


def closed_loop(serve: Service, clock: Clock, count: int) -> list[Query]:
    """Queries of one who waits for each answer before the next: none ever waits for another."""
    answered = []
    for _ in range(count):
        begin = clock.now()
        serve()
        answered.append(Query(begin, begin, clock.now()))
    return answered


def at_once(serve: Service, clock: Clock, count: int) -> list[Query]:
    """Queries that are all there when the run begins."""
    return open_loop(serve, clock, [0] * count)


def pollaczek_khinchine(per_second: float, service_ns: Array) -> float | None:
    """Mean nanoseconds that Poisson arrivals wait for one server (M/G/1); None if it lags behind.

    Pollaczek (1930) and Khinchine (1932): rate × E[S²] / (2 (1 - rate × E[S])). What a run's mean
    should come near to; for a service that is always as long, it is M/D/1's.
    """
    service = np.asarray(service_ns, dtype=np.float64) / 1e9
    load = per_second * float(service.mean())
    if load >= 1:
        return None
    return 1e9 * per_second * float((service**2).mean()) / (2 * (1 - load))
