"""The networks timed in torch: ours, torchvision's and timm's; mirror of ``models_paddle``."""

from __future__ import annotations

from typing import Any

import torch

import pytorch_impl
import weight_port
from benchmarks.devices import device_cpu, device_torch
from benchmarks.devices.timing import Device
from benchmarks.grid.cells import LIBRARIES
from benchmarks.harness import worker
from pytorch_impl.checkpoint import to_tensor

DEVICES: dict[str, Device] = {"cpu": device_cpu, "gpu": device_torch}

PLACES = {"cpu": "cpu", "gpu": "cuda"}


def set_up(job: dict[str, Any]) -> Device:
    """Threads and switches as the job has them; returns the device that keeps the time."""
    if job["threads"]:
        torch.set_num_threads(job["threads"])
    tf32 = job.get("precision") == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = False
    torch.set_grad_enabled(False)
    return DEVICES[job["device"]]


def build_ours(path: str, name: str) -> Any:
    """``pytorch_impl``'s network with a checkpoint's weights."""
    return pytorch_impl.load(path, architecture=name)


def build_library(path: str, name: str) -> Any:
    """torchvision's network with a checkpoint's weights."""
    from torchvision import models

    more = {"init_weights": False} if name == "googlenet_bn" else {}
    model = models.get_model(LIBRARIES["torchvision"][name], **more)
    tensors = weight_port.convert(weight_port.read(path), to="torchvision")
    model.load_state_dict({key: to_tensor(array) for key, array in tensors.items()}, strict=True)
    return model.eval()


def build_timm(path: str, name: str) -> Any:
    """timm's network with a checkpoint's weights."""
    import timm

    model = timm.create_model(LIBRARIES["timm"][name], pretrained=False)
    # vc and vd have the same tensors in the scheme, and other names in timm.
    tensors = weight_port.convert(weight_port.read(path), to="timm", architecture=name)
    model.load_state_dict({key: to_tensor(array) for key, array in tensors.items()}, strict=True)
    return model.eval()


BUILD = {"pytorch_impl": build_ours, "torchvision": build_library, "timm": build_timm}


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
        "versions": {
            "torch": str(torch.__version__),
            **worker.versions("torchvision", "timm", "numpy"),
        },
        "build": [line.strip(" -") for line in torch.__config__.show().splitlines()[1:8]],
        "switches": switches,
        "gpu": device_torch.describe(),
    }


def reference(job: dict[str, Any]) -> dict[str, Any]:
    """Write the float64 logits (N, classes) of ``pytorch_impl`` on the CPU to the job's file."""
    set_up(job)
    model = build_ours(job["weights"], worker.model_of(job)).double()
    images = to_tensor(worker.load_array(job["inputs"], "images")).double()
    with torch.inference_mode():
        worker.save_array(job["out"], "logits", model(images).numpy())
    return {}


def export(job: dict[str, Any]) -> dict[str, Any]:
    """Write ``pytorch_impl``'s network with the job's weights as ONNX, for that batch alone."""
    set_up(job)
    images = to_tensor(worker.load_images(job))
    names: dict[str, Any] = {"input_names": ["images"], "output_names": ["logits"]}
    # The exporter by tracing: its graph has batch norms folded away and needs no onnxscript.
    model = build_ours(job["weights"], worker.model_of(job))
    torch.onnx.export(model, (images,), job["out"], dynamo=False, opset_version=17, **names)
    return {}


def save(job: dict[str, Any]) -> dict[str, Any]:
    """Save torchvision's network with the job's weights, as torch does now and did before 1.6."""
    state, out = build_library(job["weights"], job["model"]).state_dict(), job["out"]
    torch.save(state, f"{out}.pth")
    torch.save(state, f"{out}-legacy.pth", _use_new_zipfile_serialization=False)
    return {}
