"""The PyTorch process of a benchmark; the mirror of ``paddle_worker.py``."""

from __future__ import annotations

from typing import Any

import torch

import pytorch_impl
import weight_port
from benchmarks import cpu_device, torch_device, worker
from benchmarks.timing import Device
from parity.launch import serve
from pytorch_impl.checkpoint import to_tensor

DEVICES: dict[str, Device] = {"cpu": cpu_device, "gpu": torch_device}
PLACES = {"cpu": "cpu", "gpu": "cuda"}


def set_up(job: dict[str, Any]) -> Device:
    """Threads and switches as the job has them; returns the device that keeps the time."""
    torch.set_num_threads(job["threads"])
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    return DEVICES[job["device"]]


def build_ours(path: str, _name: str) -> Any:
    """``pytorch_impl``'s network with a checkpoint's weights."""
    return pytorch_impl.load(path)


def build_library(path: str, name: str) -> Any:
    """torchvision's network with a checkpoint's weights."""
    from torchvision import models

    table = (models.resnet18, models.resnet34, models.resnet50, models.resnet101, models.resnet152)
    model = {make.__name__: make for make in table}[name]()
    tensors = weight_port.convert(weight_port.read(path), to="torchvision")
    model.load_state_dict({key: to_tensor(array) for key, array in tensors.items()}, strict=True)
    return model.eval()


BUILD = {"pytorch_impl": build_ours, "torchvision": build_library}


def describe(job: dict[str, Any]) -> dict[str, Any]:
    """Versions, switches as they stand, and the GPU if there is one."""
    set_up({**job, "device": "cpu"})
    switches = {
        "threads": torch.get_num_threads(),
        "cuda.matmul.allow_tf32": torch.backends.cuda.matmul.allow_tf32,
        "cudnn.allow_tf32": torch.backends.cudnn.allow_tf32,
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "mkldnn.enabled": torch.backends.mkldnn.enabled,
    }
    return {
        "versions": {"torch": str(torch.__version__), **worker.versions("torchvision", "numpy")},
        "build": [line.strip(" -") for line in torch.__config__.show().splitlines()[1:8]],
        "switches": switches,
        "gpu": torch_device.describe(),
    }


def reference(job: dict[str, Any]) -> dict[str, Any]:
    """Write the float64 logits (N, classes) of ``pytorch_impl`` on the CPU to the job's file."""
    set_up(job)
    model = pytorch_impl.load(job["weights"]).double()
    images = to_tensor(worker.load_array(job["inputs"], "images")).double()
    with torch.inference_mode():
        worker.save_array(job["out"], "logits", model(images).numpy())
    return {}


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Parity, then the time of one cell's forward passes in evaluation mode."""
    device, place = set_up(job), PLACES[job["device"]]
    model = BUILD[job["implementation"]](job["weights"], job["model"]).to(place)
    images = to_tensor(worker.load_array(job["inputs"], "images")).to(place)
    with torch.inference_mode():
        return worker.time_forward(lambda: model(images), lambda y: y.cpu().numpy(), device, job)


def peak(job: dict[str, Any]) -> dict[str, Any]:
    """Samples of float32 matrix products of several sizes."""
    device, place = set_up(job), PLACES[job["device"]]
    products = []
    with torch.inference_mode():
        for n in worker.PRODUCT_SIZES[job["device"]]:
            a = torch.rand(n, n, device=place)
            products.append(worker.time_product(lambda a=a: a @ a, n, device))  # type: ignore[misc]
    return {"products": products}


TASKS = {"describe": describe, "reference": reference, "measure": measure, "peak": peak}


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do the job's task."""
    return TASKS[job["task"]](job)


if __name__ == "__main__":
    serve(work)
