"""The PyTorch process of a benchmark; the mirror of ``worker_paddle``."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.devices.timing import Device
from benchmarks.experiments.forward import worker as forward_worker
from benchmarks.experiments.latency import worker as latency_worker
from benchmarks.experiments.layers import steps_torch
from benchmarks.harness import modes_torch, worker
from benchmarks.harness.models_torch import BUILD, PLACES, describe, export, reference, save, set_up
from benchmarks.roofline import probes_torch
from parity.workers.launch import serve
from pytorch_impl.checkpoint import to_tensor


def _ready(job: dict[str, Any]) -> tuple[Any, Any, Device]:
    """What readies a cell's forward pass, what brings its output to the host, and the device."""
    device, place = set_up(job), PLACES[job["device"]]
    model = BUILD[job["implementation"]](job["weights"], job["model"]).to(place)
    images = to_tensor(worker.load_images(job)).to(place)
    precision, mode = job["precision"], job["mode"]
    if mode not in modes_torch.OPTIMIZED:
        model, images = modes_torch.cast(model, images, precision, job["layout"])
    make = partial(modes_torch.MODES[mode], model, images, precision)
    return make, lambda y: y.float().cpu().numpy(), device


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Parity, then the time of one cell's forward passes in evaluation mode."""
    return forward_worker.time_forward(*_ready(job), job)


def peak(job: dict[str, Any]) -> dict[str, Any]:
    """Samples of the machine's own peaks: products, convolutions, copies."""
    return probes_torch.measure(set_up(job), PLACES[job["device"]], job)


TASKS = {
    "describe": describe,
    "reference": reference,
    "export": export,
    "measure": measure,
    "latency": lambda job: latency_worker.answer(*_ready(job), job),
    "peak": peak,
    "layers": lambda job: steps_torch.measure(set_up(job), PLACES[job["device"]], job),
    "layers_reference": steps_torch.reference,
    "save": save,
}


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do the job's task."""
    return TASKS[job["task"]](job)


if __name__ == "__main__":
    worker.end_with_parent()
    serve(work)
