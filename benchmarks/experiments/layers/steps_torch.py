"""Every step of ``pytorch_impl``'s network by itself; the mirror of ``steps_paddle``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

import pytorch_impl
from benchmarks.devices.timing import Device
from benchmarks.experiments.layers import steps
from benchmarks.experiments.layers.steps import Visit
from benchmarks.harness import worker
from benchmarks.roofline import costs
from pytorch_impl.checkpoint import to_tensor
from weight_port import arch

Hook = Callable[[Any, tuple[Any, ...], Any], None]


def _watch(layer: arch.Layer, bottleneck: bool, visit: Visit, held: dict[str, Any]) -> Hook:
    """What a layer's module does after each call: visit its steps, on the input that it had.

    The network works in place, so what a later step needs is held as a copy. ``held`` has what
    the two branches of the block at work gave.
    """
    kind = costs.step_kind(layer)
    has_relu = costs.has_relu(layer, bottleneck)
    ends_branch = kind == "batch_norm" and not has_relu

    def hook(module: Any, given: tuple[Any, ...], output: Any) -> None:
        if kind == "add":
            y, x = held.pop("main"), held.pop("branch1", given[0])
            output = y + x
            visit(layer.name, "add", partial(y.add_, x))
        elif kind is None:
            output = held.pop("main")
        else:
            visit(layer.name, kind, partial(module.forward, given[0]))
        if has_relu:
            visit(layer.name, "relu", partial(F.relu, output.clone(), inplace=True))
        if ends_branch:
            held["branch1" if layer.branch == "branch1" else "main"] = output.clone()

    return hook


def walk(model: Any, images: Any, visit: Visit) -> None:
    """One pass that visits every step as its input comes, in the order of ``costs.order``."""
    held: dict[str, Any] = {}
    modules, name = dict(model.named_modules()), model.architecture
    bottleneck = arch.architecture(name).bottleneck
    hooks = [
        modules[layer.path].register_forward_hook(_watch(layer, bottleneck, visit, held))
        for layer in arch.layers(name)
    ]
    try:
        model(images)
    finally:
        for hook in hooks:
            hook.remove()


def _network(
    job: dict[str, Any], place: str, dtype: torch.dtype, layout: str = "NCHW"
) -> steps.Network:
    order = torch.channels_last if layout == "NHWC" else torch.contiguous_format
    model = pytorch_impl.load(job["weights"]).to(place, dtype, memory_format=order)
    images = to_tensor(worker.load_array(job["inputs"], "images"))
    images = images.to(place, dtype, memory_format=order)
    return steps.Network(
        partial(model, images), partial(walk, model, images), lambda y: y.cpu().numpy()
    )


def measure(device: Device, place: str, job: dict[str, Any]) -> dict[str, Any]:
    """Parity and samples of the whole pass and of every step, eager, float32."""
    with torch.no_grad():
        network = _network(job, place, torch.float32, job["layout"])
        return steps.measure_steps(network, device, job)


def reference(job: dict[str, Any]) -> dict[str, Any]:
    """Save what every step gives in float64 on the CPU to the job's folder."""
    with torch.no_grad():
        steps.keep(_network(job, "cpu", torch.float64), job["out"])
    return {}
