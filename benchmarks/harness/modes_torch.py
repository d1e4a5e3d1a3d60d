"""How a network runs in torch: one function per mode; the mirror of ``modes_paddle``.

Each takes the model in evaluation mode, the images (N, 3, H, W) on their device, and the cell's
precision; it returns a function without arguments that does one forward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_impl.optimize import optimize

Step = Callable[[], Any]

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}  # whose weights and images are cast
AUTOCAST = {"amp-fp16": torch.float16, "amp-bf16": torch.bfloat16}


def cast(model: nn.Module, images: Tensor, precision: str, layout: str) -> tuple[nn.Module, Tensor]:
    """Both in the cell's dtype and memory format."""
    dtype = DTYPES.get(precision, torch.float32)
    order = torch.channels_last if layout == "NHWC" else torch.contiguous_format
    return model.to(dtype=dtype, memory_format=order), images.to(dtype=dtype, memory_format=order)  # type: ignore[call-overload]


def eager(model: Any, images: Tensor, precision: str) -> Step:
    """The module as it is, without gradients (set_up switched them off)."""
    if precision not in AUTOCAST:
        return lambda: model(images)

    def step() -> Any:
        with torch.autocast(images.device.type, AUTOCAST[precision]):
            return model(images)

    return step


def inference_mode(model: Any, images: Tensor, precision: str) -> Step:
    """Without version counters either."""
    return torch.inference_mode()(eager(model, images, precision))


def folded(model: Any, images: Tensor, precision: str) -> Step:
    """Each batch norm folded into the convolution before it, by torch's own transformation."""
    from torch.fx.experimental.optimization import fuse

    return inference_mode(fuse(model), images, precision)


def compiled(model: Any, images: Tensor, precision: str) -> Step:
    """``torch.compile`` as it comes; what it can't take whole is an error, not run as it was."""
    return eager(torch.compile(model, fullgraph=True), images, precision)


def autotuned(model: Any, images: Tensor, precision: str) -> Step:
    """``torch.compile`` that tries every kernel it knows and launches them as CUDA graphs."""
    whole = torch.compile(model, fullgraph=True, mode="max-autotune")
    return eager(whole, images, precision)


def optimized(backend: str) -> Callable[[Any, Tensor, str], Step]:
    """What ``pytorch_impl.optimize`` gives with a backend."""

    def make(model: Any, images: Tensor, precision: str) -> Step:
        forward = optimize(model, images, backend, precision)
        return lambda: forward(images)

    return make


def cuda_graph(model: Any, images: Tensor, precision: str) -> Step:
    """The kernels of an eager pass, captured once and launched together."""
    step = eager(model, images, precision)
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # warm-up off the default stream, as capture asks
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        logits = step()

    def replay() -> Any:
        graph.replay()
        return logits

    return replay


MODES: dict[str, Callable[[Any, Tensor, str], Step]] = {
    "defaults": eager,
    "eager": eager,
    "inference_mode": inference_mode,
    "folded": folded,
    "compile": compiled,
    "max-autotune": autotuned,
    "inductor": optimized("inductor"),
    "openvino": optimized("openvino"),
    "cuda-graph": cuda_graph,
}
OPTIMIZED = ("inductor", "openvino")  # these cast for themselves: they take the model in float32
