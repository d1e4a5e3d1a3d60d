"""A process that answers queries, alike in both frameworks: parity first.

This file imports no framework.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.devices.timing import Device
from benchmarks.experiments.latency import scenarios
from benchmarks.experiments.latency.queries import Clock, WallClock
from benchmarks.harness import worker


def answer(
    make: Callable[[], Callable[[], Any]],
    to_array: Callable[[Any], worker.Array],
    device: Device,
    job: dict[str, Any],
    clock: Clock | None = None,
) -> dict[str, Any]:
    """Parity of the first answer, the job's scenario, and parity again: a failing row has none.

    ``make`` and ``to_array`` are as in ``forward.worker.time_forward``. A query's images are on the
    device when it comes, and its answer is there when the device has computed it. The garbage
    collector stays on: what it takes is a part of a server's latency.
    """
    forward = make()
    output = to_array(forward())
    reference = worker.load_array(job["reference"], "logits")[: job["batch"]]
    parity = worker.check(output, reference, job["precision"])

    def serve() -> None:
        forward()
        device.synchronise()

    unplayed: dict[str, Any] = {"alone_ns": None, "offered_per_s": None, "queries": None}
    played = unplayed
    if not parity["error"]:
        played = scenarios.play(serve, clock or WallClock(), job)
        after = worker.check(to_array(forward()), reference, job["precision"])
        parity = worker.both(parity, after)
        played = unplayed if parity["error"] else played
    memory = {"max_rss_bytes": worker.max_rss_bytes(), **device.memory_peaks()}
    return {"parity": parity, **played, "memory": memory}
