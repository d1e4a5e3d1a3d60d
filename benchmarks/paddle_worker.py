"""The Paddle process of a benchmark; the mirror of ``torch_worker.py``."""

from __future__ import annotations

from typing import Any

import paddle

import paddle_impl
import weight_port
from benchmarks import cpu_device, paddle_device, worker
from benchmarks.cells import SWITCHES
from benchmarks.timing import Device
from paddle_impl.checkpoint import to_tensor
from parity.launch import serve

DEVICES: dict[str, Device] = {"cpu": cpu_device, "gpu": paddle_device}


def set_up(job: dict[str, Any]) -> Device:
    """Threads and place as the job has them; returns the device that keeps the time.

    The switches (cells.SWITCHES) came with the environment. New tensors go to the place.
    """
    paddle.base.core.set_num_threads(job["threads"])
    paddle.set_device(job["device"])
    return DEVICES[job["device"]]


def build_ours(path: str, _name: str) -> Any:
    """``paddle_impl``'s network with a checkpoint's weights."""
    return paddle_impl.load(path)


def build_library(path: str, name: str) -> Any:
    """``paddle.vision``'s network with a checkpoint's weights."""
    from paddle.vision import models

    table = (models.resnet18, models.resnet34, models.resnet50, models.resnet101, models.resnet152)
    model = {make.__name__: make for make in table}[name]()
    tensors = weight_port.convert(weight_port.read(path), to="paddle.vision")
    skipped = model.set_state_dict({key: to_tensor(array) for key, array in tensors.items()})
    if any(skipped):  # Paddle only warns
        raise RuntimeError(f"paddle.vision skipped (missing, unexpected): {skipped}")
    model.eval()
    return model


BUILD = {"paddle_impl": build_ours, "paddle.vision": build_library}


def _switch(name: str) -> Any:
    """A switch as it stands; None in a build without it (cuDNN's, in the CPU wheel)."""
    try:
        return paddle.get_flags(name)[name]
    except ValueError:
        return None


def describe(job: dict[str, Any]) -> dict[str, Any]:
    """Versions, switches as they stand, and the GPU if there is one."""
    set_up({**job, "device": "cpu"})
    names = (*SWITCHES, "FLAGS_use_onednn", "FLAGS_allocator_strategy", "FLAGS_enable_pir_api")
    # Paddle has no function that says how many threads it uses: this is what set_up asked for.
    switches = {"threads": job["threads"], **{name: _switch(name) for name in names}}
    return {
        "versions": {"paddle": str(paddle.__version__), **worker.versions("numpy")},
        "build": [f"commit {paddle.version.commit}", f"MKL {paddle.version.mkl()}"],
        "switches": switches,
        "gpu": paddle_device.describe(),
    }


def reference(job: dict[str, Any]) -> dict[str, Any]:
    """Write the float64 logits (N, classes) of ``paddle_impl`` on the CPU to the job's file."""
    set_up(job)
    model = paddle_impl.load(job["weights"])
    model.to(dtype="float64")
    images = to_tensor(worker.load_array(job["inputs"], "images")).astype("float64")
    with paddle.no_grad():
        worker.save_array(job["out"], "logits", model(images).numpy())
    return {}


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Parity, then the time of one cell's forward passes in evaluation mode."""
    device = set_up(job)
    model = BUILD[job["implementation"]](job["weights"], job["model"])
    images = to_tensor(worker.load_array(job["inputs"], "images"))
    with paddle.no_grad():
        return worker.time_forward(lambda: model(images), lambda y: y.numpy(), device, job)


def peak(job: dict[str, Any]) -> dict[str, Any]:
    """Samples of float32 matrix products of several sizes."""
    device = set_up(job)
    products = []
    with paddle.no_grad():
        for n in worker.PRODUCT_SIZES[job["device"]]:
            a = paddle.rand([n, n])
            products.append(worker.time_product(lambda a=a: a @ a, n, device))  # type: ignore[misc]
    return {"products": products}


TASKS = {"describe": describe, "reference": reference, "measure": measure, "peak": peak}


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do the job's task."""
    return TASKS[job["task"]](job)


if __name__ == "__main__":
    serve(work)
