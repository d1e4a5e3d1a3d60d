"""Every step of ``paddle_impl``'s network by itself; the mirror of ``steps_torch``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import paddle
import paddle.nn.functional as F

import paddle_impl
from benchmarks.devices.timing import Device
from benchmarks.experiments.layers import steps
from benchmarks.experiments.layers.steps import Visit
from benchmarks.harness import modes_paddle, worker
from benchmarks.roofline import costs
from paddle_impl.checkpoint import to_tensor
from weight_port import arch

Hook = Callable[[Any, tuple[Any, ...], Any], None]


def _watch(layer: arch.Layer, bottleneck: bool, visit: Visit, held: dict[str, Any]) -> Hook:
    """What a layer's module does after each call: visit its steps, on the input that it had.

    The network makes a new tensor at every step. ``held`` has what the two branches of the block
    at work gave.
    """
    kind = costs.step_kind(layer)
    has_relu = costs.has_relu(layer, bottleneck)
    ends_branch = kind == "batch_norm" and not has_relu

    def hook(module: Any, given: tuple[Any, ...], output: Any) -> None:
        if kind == "add":
            y, x = held.pop("main"), held.pop("branch1", given[0])
            output = y + x
            visit(layer.name, "add", lambda: y + x)
        elif kind is None:
            output = held.pop("main")
        else:
            visit(layer.name, kind, partial(module.forward, given[0]))
        if has_relu:
            visit(layer.name, "relu", partial(F.relu, output))
        if ends_branch:
            held["branch1" if layer.branch == "branch1" else "main"] = output

    return hook


def walk(model: Any, images: Any, visit: Visit) -> None:
    """One pass that visits every step as its input comes, in the order of ``costs.order``."""
    held: dict[str, Any] = {}
    modules, name = dict(model.named_sublayers()), model.architecture
    bottleneck = arch.architecture(name).bottleneck
    hooks = [
        modules[layer.path].register_forward_post_hook(_watch(layer, bottleneck, visit, held))
        for layer in arch.layers(name)
    ]
    try:
        model(images)
    finally:
        for hook in hooks:
            hook.remove()


def _network(job: dict[str, Any], dtype: str, layout: str = "NCHW") -> steps.Network:
    model = paddle_impl.load(job["weights"])
    model.to(dtype=dtype)
    images = to_tensor(worker.load_array(job["inputs"], "images")).astype(dtype)
    model, images = modes_paddle.cast(model, images, "fp32", layout)

    def to_array(y: Any) -> Any:
        """Channels before height and width, as in the reference."""
        moved = layout == "NHWC" and y.ndim == 4
        return (y.transpose([0, 3, 1, 2]) if moved else y).numpy()

    return steps.Network(partial(model, images), partial(walk, model, images), to_array)


def measure(device: Device, job: dict[str, Any]) -> dict[str, Any]:
    """Parity and samples of the whole pass and of every step, eager, float32."""
    with paddle.no_grad():
        return steps.measure_steps(_network(job, "float32", job["layout"]), device, job)


def reference(job: dict[str, Any]) -> dict[str, Any]:
    """Save what every step gives in float64 on the CPU to the job's folder."""
    with paddle.no_grad():
        steps.keep(_network(job, "float64"), job["out"])
    return {}
