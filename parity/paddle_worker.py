"""The Paddle process of a parity run; the mirror of ``torch_worker.py``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import paddle

import paddle_impl
import weight_port
from paddle_impl.checkpoint import to_tensor
from parity.launch import serve
from parity.outputs import save_output
from weight_port import arch

Save = Callable[[str, Any], None]


def _watch_layers(model: Any, save: Save) -> None:
    """Have every named layer's output saved as it is computed, before anything changes it."""
    names = {layer.path: layer.name for layer in arch.layers(model.architecture)}

    def watch(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: save(name, output)

    for path, module in model.named_sublayers():
        if path in names:
            module.register_forward_post_hook(watch(names[path]))


def _set_epsilon(model: Any, epsilon: float) -> None:
    for module in model.sublayers():
        if isinstance(module, paddle.nn.BatchNorm2D):
            module._epsilon = epsilon


def forward(job: dict[str, Any], run: dict[str, Any]) -> None:
    """One forward pass in ``run["precision"]``; outputs go to the folder ``run["out"]``."""
    model = paddle_impl.load(job["weights"], architecture=job["architecture"])
    model.to(dtype=run["precision"])
    _set_epsilon(model, run["epsilon"])
    images = to_tensor(weight_port.read(job["inputs"])["images"])

    def save(name: str, output: paddle.Tensor) -> None:
        save_output(Path(run["out"]), name, output.numpy())

    if run["layers"]:
        _watch_layers(model, save)
    with paddle.no_grad():
        save("logits", model(images.astype(run["precision"])))


def calibrate(job: dict[str, Any]) -> None:
    """Set the batch norms' statistics to those of the job's images and save a state dict."""
    model = paddle_impl.load(job["weights"], architecture=job["architecture"])
    for module in model.sublayers():
        if isinstance(module, paddle.nn.BatchNorm2D):
            module._momentum = 0.0  # new statistics = the batch's
    model.train()
    with paddle.no_grad():
        model(to_tensor(weight_port.read(job["inputs"])["images"]))
    paddle.save(model.state_dict(), job["out"])


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do what the job asks: "forward" (every one of its runs) or "calibrate"."""
    if job["task"] == "calibrate":
        calibrate(job)
    else:
        for run in job["runs"]:
            forward(job, run)
    return {"framework": "paddle", "version": paddle.__version__}


if __name__ == "__main__":
    serve(work)
