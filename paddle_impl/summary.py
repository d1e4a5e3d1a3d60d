"""A model layer by layer; the mirror of ``pytorch_impl/summary.py``."""

from __future__ import annotations

import contextlib
import io
import math

import paddle

from paddle_impl.network import Network
from weight_port import arch, summaries


def summary(model: Network, size: int | None = None) -> str:
    """Its layers as a table: output, parameters, multiply-adds, receptive field; and the sums.

    One image of ``size`` pixels square, the network's own if not given, goes through ``model`` in
    evaluation mode, on its device. ``paddle.summary`` runs it and prints what it sees, but gives
    back the sums alone, so hooks see the layers. Raises RuntimeError where its sum is another.
    """
    size = arch.architecture(model.architecture).size if size is None else size
    weight = model.parameters()[0]
    modules: dict[str, summaries.Ran] = {}
    hooks = []
    for path, layer in model.named_sublayers():
        own = sum(math.prod(p.shape) for p in layer.parameters(False) if not p.stop_gradient)

        def see(_layer, _inputs, output, path=path, own=own):
            modules[path] = summaries.Ran(tuple(output.shape), own)

        hooks.append(layer.register_forward_post_hook(see))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            sums = paddle.summary(model, (1, weight.shape[1], size, size), str(weight.dtype)[7:])
    finally:
        for hook in hooks:
            hook.remove()
    if sum(module.parameters for module in modules.values()) != sums["trainable_params"]:
        raise RuntimeError(f"{model.architecture}: paddle.summary counts {sums}")
    return summaries.text(model.architecture, modules, "counted by paddle.summary")
