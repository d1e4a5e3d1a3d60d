"""The networks that are timed in Paddle: ours and paddle.vision's; mirror of ``models_torch``."""

from __future__ import annotations

from typing import Any

import paddle

import paddle_impl
import weight_port
from benchmarks.devices import device_cpu, device_paddle
from benchmarks.devices.timing import Device
from benchmarks.grid.cells import LIBRARIES, SWITCHES
from benchmarks.harness import worker
from paddle_impl.checkpoint import to_tensor

DEVICES: dict[str, Device] = {"cpu": device_cpu, "gpu": device_paddle}


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
        "gpu": device_paddle.describe(),
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
