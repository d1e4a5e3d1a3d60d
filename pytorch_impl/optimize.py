"""The fastest forward pass that we know of; the mirror of ``paddle_impl/optimize.py``.

``python -m benchmarks`` times what this returns in its best-effort rung, so what the tables show is
what a user gets.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable

import torch
from torch import Tensor, nn

Forward = Callable[[Tensor], Tensor]

# What a precision is computed in, the largest relative L2 difference from the model that passes,
# and the smallest that such rounding can leave: below that it ran in float32 without saying so.
# Measured on ResNet-50: float32 7e-7 to 1e-6, bfloat16 1e-2 (its unit is 2^-8).
PRECISIONS = {"fp32": (torch.float32, 1e-4, 0.0), "bf16": (torch.bfloat16, 1e-1, 1e-4)}


def _openvino(model: nn.Module, example: Tensor, precision: str) -> Forward:
    """OpenVINO's CPU plugin over the traced network, in torch's number of threads."""
    import openvino

    network = openvino.convert_model(model, example_input=example, input=[list(example.shape)])
    hints = {
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    request = openvino.Core().compile_model(network, "CPU", hints).create_infer_request()

    def forward(images: Tensor) -> Tensor:
        # The images are read where they lie; the logits are copied out of the request's memory.
        outputs = request.infer({0: images.numpy()}, share_inputs=True)
        return torch.from_numpy(outputs[0])

    return forward


def _inductor(model: nn.Module, example: Tensor, precision: str) -> Forward:
    """``torch.compile`` with the weights as constants; channels last, as its kernels want them."""
    # On a CPU freezing packs the weights once for oneDNN; on a GPU the search for kernels and the
    # CUDA graph are what pays.
    cpu = example.device.type == "cpu"
    options = {"freezing": True} if cpu else {"max_autotune": True, "triton.cudagraphs": True}
    network = copy.deepcopy(model).to(memory_format=torch.channels_last)
    compiled = torch.compile(network, fullgraph=True, options=options)
    low = precision != "fp32"

    def forward(images: Tensor) -> Tensor:
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, PRECISIONS[precision][0], enabled=low):
            return compiled(images).float()

    return forward


BACKENDS = {"openvino": _openvino, "inductor": _inductor}


def _choose(example: Tensor) -> str:
    """OpenVINO where it is installed, on a CPU; else inductor, which needs a C++ compiler."""
    installed = importlib.util.find_spec("openvino") is not None
    return "openvino" if installed and example.device.type == "cpu" else "inductor"


def _check(output: Tensor, expected: Tensor, backend: str, precision: str) -> None:
    """Raises RuntimeError where the result is another, or not in the precision that was asked."""
    _, most, least = PRECISIONS[precision]
    error = float((output - expected).norm() / expected.norm())
    if not error <= most:  # NaN too
        raise RuntimeError(f"{backend}: its output differs from the model's by {error:.1e} (L2)")
    if error < least:
        raise RuntimeError(
            f"{backend}: {precision} was asked, but a difference of {error:.1e} says that it ran "
            "in float32: this processor or build has no such kernels; ask for fp32"
        )


def optimize(
    model: nn.Module, example: Tensor, backend: str = "auto", precision: str = "fp32"
) -> Forward:
    """A callable that computes ``model`` in evaluation mode as fast as we know how.

    ``example`` (N, C, H, W), float32, is what it will be called with: that shape alone, on that
    device. ``backend`` is openvino, inductor or auto; ``precision`` fp32 or bf16. The callable
    takes such images and returns logits (N, classes) in float32, without gradients. It is compared
    with ``model`` on the example first. Raises ValueError for an unknown name, and RuntimeError
    where the backend computes something else or another precision; ImportError without openvino.
    """
    if backend not in ("auto", *BACKENDS) or precision not in PRECISIONS:
        known = f"backend auto, {', '.join(BACKENDS)}; precision {', '.join(PRECISIONS)}"
        raise ValueError(f"backend {backend!r}, precision {precision!r}: known are {known}")
    model = model.eval()
    backend = _choose(example) if backend == "auto" else backend
    shape = example.shape
    with torch.no_grad():
        expected = model(example)
        run = BACKENDS[backend](model, example, precision)
        _check(run(example), expected, backend, precision)

    def forward(images: Tensor) -> Tensor:
        if images.shape != shape:
            raise ValueError(f"made for images {list(shape)}, not {list(images.shape)}")
        with torch.no_grad():
            return run(images)

    return forward
