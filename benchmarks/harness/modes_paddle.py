"""How a network runs in Paddle: one function per mode; the mirror of ``modes_torch``.

Each takes the model in evaluation mode, the images (N, 3, H, W) on their device, and the cell's
precision; it returns a function without arguments that does one forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import paddle
from paddle import Tensor, nn

from paddle_impl.optimize import optimize

Step = Callable[[], Any]

DTYPES = {"fp16": "float16", "bf16": "bfloat16"}  # whose weights and images are cast
AUTOCAST = {"amp-fp16": "float16", "amp-bf16": "bfloat16"}

# The layers that know a layout, and the attribute that holds it. Paddle has no memory format: NHWC
# is another network, whose tensors really have the channels last.
_LAYOUT = {
    nn.Conv2D: "_data_format",
    nn.BatchNorm2D: "_data_format",
    nn.MaxPool2D: "data_format",
    nn.AvgPool2D: "data_format",
    nn.AdaptiveAvgPool2D: "_data_format",
}


def channels_last(model: Any) -> None:
    """Make every layer work on (N, H, W, C). The weights keep their order; the logits are equal."""
    for layer in model.sublayers():
        name = next((name for kind, name in _LAYOUT.items() if isinstance(layer, kind)), None)
        if name is not None:
            if getattr(layer, name) != "NCHW":
                raise RuntimeError(f"{layer}: {name} is {getattr(layer, name)!r}, not NCHW")
            setattr(layer, name, "NHWC")


def cast(model: Any, images: Tensor, precision: str, layout: str) -> tuple[Any, Tensor]:
    """Both in the cell's dtype and layout."""
    if precision in DTYPES:
        model.to(dtype=DTYPES[precision])
        images = images.astype(DTYPES[precision])
    if layout == "NHWC":
        channels_last(model)
        images = images.transpose([0, 2, 3, 1]).contiguous()
    return model, images


def eager(model: Any, images: Tensor, precision: str) -> Step:
    """The layer as it is, without gradients (set_up switched them off)."""
    if precision not in AUTOCAST:
        return lambda: model(images)

    def step() -> Any:
        with paddle.amp.auto_cast(dtype=AUTOCAST[precision]):
            return model(images)

    return step


def to_static(model: Any, images: Tensor, precision: str) -> Step:
    """A program of the whole network, run by Paddle's interpreter."""
    return eager(paddle.jit.to_static(model, full_graph=True), images, precision)


# What CINN fuses into kernels of its own (it leaves convolutions, pools and products to libraries).
_FUSED = {"batch_norm", "batch_norm_", "relu", "relu_", "add", "add_"}


def _compiled(operators: Sequence[str]) -> None:
    """Raises RuntimeError where the program that runs is not what CINN makes of a ResNet."""
    left = {f"pd_op.{name}" for name in _FUSED} & set(operators)
    if left or "cinn_runtime.jit_kernel" not in operators:
        names = ", ".join(sorted(left)) or "anything"
        raise RuntimeError(f"CINN did not compile {names}: it would run as to_static, in silence")


def cinn(model: Any, images: Tensor, precision: str) -> Step:
    """The program, compiled. Paddle runs it as to_static, and says nothing, where CINN is not in
    the build, where the place is no GPU, and past CINN's own limits: the program is looked at."""
    if not paddle.is_compiled_with_cinn():
        raise RuntimeError(
            "this build of Paddle has no CINN: it would run as to_static, in silence"
        )
    compiled = paddle.jit.to_static(model, backend="CINN", full_graph=True)
    step = eager(compiled, images, precision)
    step()  # makes the program
    program = compiled.forward.program_cache.last()[1][-1].infer_program.forward_program
    _compiled([operator.name() for operator in program.global_block().ops])
    return step


def optimized(backend: str) -> Callable[[Any, Tensor, str], Step]:
    """What ``paddle_impl.optimize`` gives with a backend."""

    def make(model: Any, images: Tensor, precision: str) -> Step:
        forward = optimize(model, images, backend, precision)
        return lambda: forward(images)

    return make


def cuda_graph(model: Any, images: Tensor, precision: str) -> Step:
    """The kernels of an eager pass, captured once and launched together."""
    from paddle.device.cuda.graphs import CUDAGraph

    step = eager(model, images, precision)
    for _ in range(3):
        step()
    graph = CUDAGraph()
    graph.capture_begin()
    logits = step()
    graph.capture_end()

    def replay() -> Any:
        graph.replay()
        return logits

    return replay


MODES: dict[str, Callable[[Any, Tensor, str], Step]] = {
    "defaults": eager,
    "eager": eager,
    "to_static": to_static,
    "cinn": cinn,
    "plain": optimized("plain"),
    "onednn": optimized("onednn"),
    "openvino": optimized("openvino"),
    "tensorrt": optimized("tensorrt"),
    "cuda-graph": cuda_graph,
}
OPTIMIZED = ("plain", "onednn", "openvino", "tensorrt")  # these take the model in float32
