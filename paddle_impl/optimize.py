"""The fastest forward pass that we know of; the mirror of ``pytorch_impl/optimize.py``.

``python -m benchmarks`` times what this returns in its best-effort rung, so what the tables show is
what a user gets.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import paddle
from paddle import Tensor, inference, nn

Forward = Callable[[Tensor], Tensor]

# What a precision is computed in, the largest relative L2 difference from the model that passes,
# and the smallest that such rounding can leave: below that it ran in float32 without saying so.
# Measured on ResNet-50: float32 7e-7 to 1e-6, bfloat16 1e-2 (its unit is 2^-8).
PRECISIONS = {
    "fp32": (inference.PrecisionType.Float32, 1e-4, 0.0),
    "bf16": (inference.PrecisionType.Bfloat16, 1e-1, 1e-4),
}


def _openvino(config: inference.Config, precision: str) -> None:
    """The OpenVINO that Paddle's CPU wheel brings along."""
    config.enable_openvino_engine(PRECISIONS[precision][0])


def _onednn(config: inference.Config, precision: str) -> None:
    """oneDNN's kernels, fused and with packed weights."""
    config.enable_onednn()
    if precision == "bf16":
        config.enable_onednn_bfloat16()


def _tensorrt(config: inference.Config, precision: str) -> None:
    """TensorRT on the first GPU, in a workspace of 1 GiB."""
    config.enable_use_gpu(256, 0)  # MiB of the pool at the start, and the device
    config.enable_tensorrt_engine(1 << 30, 1, 3, PRECISIONS[precision][0], False, False)


def _plain(config: inference.Config, precision: str) -> None:
    """Paddle's own kernels: the passes that fuse operators, and nothing else."""
    config.disable_onednn()


BACKENDS = {
    "openvino": _openvino,
    "onednn": _onednn,
    "tensorrt": _tensorrt,
    "plain": _plain,
}


# What a backend that takes whole subgraphs puts in their place. What it can't take it leaves to
# Paddle's own kernels, without a word.
ENGINES = {"openvino": "openvino_engine", "tensorrt": "tensorrt_engine"}


def _choose(example: Tensor) -> str:
    """TensorRT on a GPU; else OpenVINO where this build has it, which is so on x86 alone."""
    if example.place.is_gpu_place():
        return "tensorrt"
    libraries = Path(paddle.__file__).parent / "libs"
    return "openvino" if list(libraries.glob("libopenvino.*")) else "onednn"


def _threads() -> int:
    """Paddle has no function that says: its import sets the variable, to 1 if it was not set."""
    return int(os.environ.get("OMP_NUM_THREADS", "1"))


def _predictor(
    model: nn.Layer, example: Tensor, backend: str, precision: str, threads: int
) -> Forward:
    """``paddle.inference`` over the exported network."""
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        stem = str(Path(folder, "network"))
        # The OpenVINO engine reads a .pdmodel alone, which Paddle 3 writes under this guard; given
        # a .json it would be oneDNN without a word.
        with paddle.pir_utils.OldIrGuard():
            spec = paddle.static.InputSpec(example.shape, "float32")
            paddle.jit.save(model, stem, input_spec=[spec])
        config = inference.Config(f"{stem}.pdmodel", f"{stem}.pdiparams")
        config.disable_glog_info()
        config.set_cpu_math_library_num_threads(threads)
        config.set_optim_cache_dir(folder)  # else OpenVINO leaves a __cache__ where the user works
        config.enable_memory_optim()
        config.enable_save_optim_model(True)  # _optimized.pdmodel in that folder: what will run
        BACKENDS[backend](config, precision)
        predictor = inference.create_predictor(config)  # it has read the files when it returns
        _all_taken(_operators(Path(folder, "_optimized.pdmodel")), backend)

    def forward(images: Tensor) -> Tensor:
        logits = predictor.run([images])[0]
        # A predictor leaves Paddle on one thread (AnalysisPredictor::Run), eager layers too.
        paddle.base.core.set_num_threads(_threads())
        return logits

    return forward


def _operators(path: Path) -> list[tuple[str, bool]]:
    """Of a program's operators: the name, and whether oneDNN computes it."""
    with paddle.pir_utils.OldIrGuard():
        program = paddle.static.Program.parse_from_string(path.read_bytes())
    found = program.global_block().ops
    return [(op.type, op.has_attr("use_mkldnn") and op.attr("use_mkldnn")) for op in found]


def _all_taken(operators: list[tuple[str, bool]], backend: str) -> None:
    """Raises RuntimeError where a backend has left to Paddle what it was to compute.

    To an engine belongs the whole network, to oneDNN every convolution.
    """
    if backend in ENGINES:
        names = {name for name, _ in operators}
        left = names - {"feed", "fetch", ENGINES[backend]} or {ENGINES[backend]} - names
    else:
        convolutions = [(name, taken) for name, taken in operators if "conv2d" in name]
        left = {name for name, taken in convolutions if taken != (backend == "onednn")}
    if left:
        raise RuntimeError(
            f"{backend}: it did not take {', '.join(sorted(left))}, which would run in other "
            "kernels, in silence"
        )


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
    model: nn.Layer,
    example: Tensor,
    backend: str = "auto",
    precision: str = "fp32",
    threads: int | None = None,
) -> Forward:
    """A callable that computes ``model`` in evaluation mode as fast as we know how.

    ``example`` (N, C, H, W), float32, is what it will be called with: that shape alone, on that
    device. ``backend`` is openvino, onednn, tensorrt, plain or auto; ``precision`` fp32 or bf16;
    ``threads`` are OMP_NUM_THREADS if not given, which Paddle sets to 1 where you have not. The
    callable takes such images and returns logits (N, classes) in float32, without gradients. It is
    compared with ``model`` on the example first. Raises ValueError for an unknown name, and
    RuntimeError where the backend computes something else, another precision, or not the whole.
    """
    if backend not in ("auto", *BACKENDS) or precision not in PRECISIONS:
        known = f"backend auto, {', '.join(BACKENDS)}; precision {', '.join(PRECISIONS)}"
        raise ValueError(f"backend {backend!r}, precision {precision!r}: known are {known}")
    model.eval()
    backend = _choose(example) if backend == "auto" else backend
    shape = example.shape
    with paddle.no_grad():
        expected = model(example)
        run = _predictor(model, example, backend, precision, threads or _threads())
        _check(run(example), expected, backend, precision)

    def forward(images: Tensor) -> Tensor:
        if images.shape != shape:
            raise ValueError(f"made for images {list(shape)}, not {list(images.shape)}")
        return run(images)

    return forward
