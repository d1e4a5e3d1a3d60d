"""What the processes of both frameworks share when several run at once: passes after a barrier.

This file imports no framework.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.devices.timing import Device
from benchmarks.harness.worker import Array, both, check, load_array

WARMUP = 3


def passes(
    forward: Callable[[], Any],
    to_array: Callable[[Any], Array],
    device: Device,
    barrier: Callable[[], Any],
    job: dict[str, Any],
) -> dict[str, Any]:
    """``job["passes"]`` forward passes after a barrier: when they began and ended.

    Nanoseconds of the monotonic clock, which all processes of a machine share (clock_gettime(2)).
    All ranks wait for each other even where one fails parity, so that none hangs.
    """
    reference = load_array(job["reference"], "logits")[: job["batch"]]
    parity = check(to_array(forward()), reference, job["precision"])
    for _ in range(WARMUP):
        forward()
    device.synchronise()
    barrier()
    begin = time.monotonic_ns()
    for _ in range(job["passes"]):
        forward()
    device.synchronise()
    end = time.monotonic_ns()
    barrier()  # a rank that ends early would leave the machine to the others
    parity = both(parity, check(to_array(forward()), reference, job["precision"]))
    return {"begin_ns": begin, "end_ns": end, "parity": parity}


def serve(work: Callable[[dict[str, Any]], dict[str, Any]], rank: int) -> None:
    """``work(job)`` with the job from argv; what it returns goes to ``OUT.RANK.json``."""
    job = json.loads(Path(sys.argv[1]).read_text())
    Path(f"{job['out']}.{rank}.json").write_text(json.dumps(work(job)))
