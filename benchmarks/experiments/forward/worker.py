"""What a worker times in forward passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.devices.timing import Device, Plan, measure
from benchmarks.harness.worker import (
    Array,
    both,
    check,
    load_array,
    loaded_libraries,
    max_rss_bytes,
)


def time_forward(
    make: Callable[[], Callable[[], Any]],
    to_array: Callable[[Any], Array],
    device: Device,
    job: dict[str, Any],
) -> dict[str, Any]:
    """Parity of the first call's output, the samples, and parity again: a failing row has none.

    ``make()`` readies the mode (folds, compiles, exports) and returns the forward pass, whose
    output ``to_array`` brings to the host as float32.
    """
    begin = time.perf_counter_ns()
    forward = make()
    device.synchronise()
    ready = time.perf_counter_ns()
    output = to_array(forward())
    called = time.perf_counter_ns()
    reference = load_array(job["reference"], "logits")[: job["batch"]]
    parity = check(output, reference, job["precision"])
    samples, stopped = None, None
    if not parity["error"]:
        samples, stopped = measure(forward, device, Plan(**job["plan"]))
        parity = both(parity, check(to_array(forward()), reference, job["precision"]))
        if parity["error"]:
            samples, stopped = None, None
    memory = {"max_rss_bytes": max_rss_bytes(), **device.memory_peaks()}
    return {
        "prepare_ns": ready - begin,
        "first_call_ns": called - ready,
        "parity": parity,
        "samples": samples,
        "stopped": stopped,
        "memory": memory,
        "libraries": loaded_libraries(),
    }
