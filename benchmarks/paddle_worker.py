"""The Paddle process of a benchmark; the mirror of ``torch_worker.py``."""

from __future__ import annotations

from functools import partial
from typing import Any

import paddle

import paddle_impl
import weight_port
from benchmarks import (
    cpu_device,
    latency_worker,
    paddle_device,
    paddle_layers,
    paddle_modes,
    paddle_probes,
    worker,
)
from benchmarks.cells import LIBRARIES, SWITCHES
from benchmarks.timing import Device
from paddle_impl.checkpoint import to_tensor
from parity.launch import serve

DEVICES: dict[str, Device] = {"cpu": cpu_device, "gpu": paddle_device}


def set_up(job: dict[str, Any]) -> Device:
    """Threads and place as the job has them; returns the device that keeps the time.

    The switches (cells.switches) came with the environment. New tensors go to the place.
    """
    if job["threads"]:
        paddle.base.core.set_num_threads(job["threads"])
    paddle.set_device(job["device"])
    paddle.set_grad_enabled(False)
    return DEVICES[job["device"]]


def build_ours(path: str, name: str) -> Any:
    """``paddle_impl``'s network with a checkpoint's weights."""
    return paddle_impl.load(path, architecture=name)


def build_library(path: str, name: str) -> Any:
    """``paddle.vision``'s network with a checkpoint's weights."""
    from paddle.vision import models

    more = {"batch_norm": True} if name.endswith("_bn") else {}
    model = getattr(models, LIBRARIES["paddle.vision"][name])(**more)
    # Its AlexNet's dropout scales in evaluation.
    tensors = weight_port.convert(weight_port.read(path), to="paddle.vision", fold=True)
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
    model = build_ours(job["weights"], worker.model_of(job))
    model.to(dtype="float64")
    images = to_tensor(worker.load_array(job["inputs"], "images")).astype("float64")
    with paddle.no_grad():
        worker.save_array(job["out"], "logits", model(images).numpy())
    return {}


def _ready(job: dict[str, Any]) -> tuple[Any, Any, Device]:
    """What readies a cell's forward pass, what brings its output to the host, and the device."""
    device = set_up(job)
    model = BUILD[job["implementation"]](job["weights"], job["model"])
    images = to_tensor(worker.load_images(job))
    precision, mode = job["precision"], job["mode"]
    if mode not in paddle_modes.OPTIMIZED:
        model, images = paddle_modes.cast(model, images, precision, job["layout"])
    make = partial(paddle_modes.MODES[mode], model, images, precision)
    return make, lambda y: y.astype("float32").numpy(), device


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Parity, then the time of one cell's forward passes in evaluation mode."""
    return worker.time_forward(*_ready(job), job)


def peak(job: dict[str, Any]) -> dict[str, Any]:
    """Samples of the machine's own peaks: products, convolutions, copies."""
    return paddle_probes.measure(set_up(job), job)


def save(job: dict[str, Any]) -> dict[str, Any]:
    """Save ``paddle.vision``'s network with the job's weights in each of Paddle's own ways.

    ``out`` of the job is a stem: out.pdparams (protocol 4), out-2.pdparams (protocol 2), and the
    exported out.pdiparams with its program.
    """
    set_up(job)
    model, out = build_library(job["weights"], job["model"]), job["out"]
    paddle.save(model.state_dict(), f"{out}.pdparams", protocol=4)
    paddle.save(model.state_dict(), f"{out}-2.pdparams", protocol=2)
    paddle.jit.save(model, out, input_spec=[paddle.static.InputSpec([None, 3, 224, 224])])
    return {}


TASKS = {
    "describe": describe,
    "reference": reference,
    "measure": measure,
    "latency": lambda job: latency_worker.answer(*_ready(job), job),
    "peak": peak,
    "layers": lambda job: paddle_layers.measure(set_up(job), job),
    "layers_reference": paddle_layers.reference,
    "save": save,
}


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do the job's task."""
    return TASKS[job["task"]](job)


if __name__ == "__main__":
    serve(work)
