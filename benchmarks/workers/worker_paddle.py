"""The Paddle process of a benchmark; the mirror of ``worker_torch``."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.devices.timing import Device
from benchmarks.experiments.forward import worker as forward_worker
from benchmarks.experiments.latency import worker as latency_worker
from benchmarks.experiments.layers import steps_paddle
from benchmarks.harness import modes_paddle, worker
from benchmarks.harness.models_paddle import BUILD, describe, reference, save, set_up
from benchmarks.roofline import probes_paddle
from paddle_impl.checkpoint import to_tensor
from parity.workers.launch import serve


def _ready(job: dict[str, Any]) -> tuple[Any, Any, Device]:
    """What readies a cell's forward pass, what brings its output to the host, and the device."""
    device = set_up(job)
    model = BUILD[job["implementation"]](job["weights"], job["model"])
    images = to_tensor(worker.load_images(job))
    precision, mode = job["precision"], job["mode"]
    if mode not in modes_paddle.OPTIMIZED:
        model, images = modes_paddle.cast(model, images, precision, job["layout"])
    make = partial(modes_paddle.MODES[mode], model, images, precision)
    return make, lambda y: y.astype("float32").numpy(), device


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Parity, then the time of one cell's forward passes in evaluation mode."""
    return forward_worker.time_forward(*_ready(job), job)


def peak(job: dict[str, Any]) -> dict[str, Any]:
    """Samples of the machine's own peaks: products, convolutions, copies."""
    return probes_paddle.measure(set_up(job), job)


TASKS = {
    "describe": describe,
    "reference": reference,
    "measure": measure,
    "latency": lambda job: latency_worker.answer(*_ready(job), job),
    "peak": peak,
    "layers": lambda job: steps_paddle.measure(set_up(job), job),
    "layers_reference": steps_paddle.reference,
    "save": save,
}


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do the job's task."""
    return TASKS[job["task"]](job)


if __name__ == "__main__":
    worker.end_with_parent()
    serve(work)
