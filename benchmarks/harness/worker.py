"""What the workers of both frameworks share: the job's files, and the check of parity.

This file imports no framework.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import weight_port
from parity.comparison.precision import PRECISIONS
from weight_port import arch
from weight_port.formats import safetensors

Array = np.ndarray[Any, Any]

# Of a cell's label: the precision whose bound holds, and the least relative L2 difference from
# float64 that computing in it can leave. Below that, the row ran in a higher one and no one said
# so. Measured on ResNet-50 to 152: float32 7e-7 to 2e-5; bfloat16 (unit 2^-8) 1e-2, float16 and
# tf32 (2^-11) 1e-3.
ROUNDING = {
    "fp32": ("float32", 0.0),
    "tf32": ("tf32", 3e-5),
    "amp-fp16": ("float16", 3e-5),
    "fp16": ("float16", 3e-5),
    "amp-bf16": ("bfloat16", 2e-4),
    "bf16": ("bfloat16", 2e-4),
}

_LIBRARIES = (
    *("libcudnn", "libcublas", "libnccl", "libnvinfer", "libdnnl", "libmkl", "libiomp", "libgomp"),
    *("libopenvino", "libonnxruntime", "onnxruntime"),
)


def versions(*packages: str) -> dict[str, str | None]:
    """Installed versions by package; None where one is not installed."""
    installed: dict[str, str | None] = {}
    for package in packages:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            installed[package] = None
    return installed


def load_array(path: str, name: str) -> Array:
    """One array of a job's .safetensors file."""
    return weight_port.read(path)[name]


def save_array(path: str | Path, name: str, array: Array) -> None:
    """Write one array for another process of the run."""
    with open(path, "wb") as stream:
        safetensors.write(stream, {name: array})


def check(output: Array, reference: Array, label: str) -> dict[str, Any]:
    """How far ``output`` (N, classes) is from the float64 ``reference``, and whether it may pass.

    Shape and dtype before values, NaN and infinity before differences; the tolerance is that of
    the parity run in the precision of ``label``. ``error`` says why it may not pass, None where it
    may. Logits of the lower precisions come as float32, which holds all their values.
    """
    distance: dict[str, Any] = {"max_abs": None, "relative_l2": None}
    if output.shape != reference.shape:
        shapes = f"{list(output.shape)}, the reference {list(reference.shape)}"
        return {**distance, "error": f"parity: the output's shape is {shapes}"}
    if output.dtype != np.float32:
        return {
            **distance,
            "error": f"parity: the output is {output.dtype}, float32 was asked",
        }
    bad = output.size - int(np.isfinite(output).sum())
    if bad:
        return {
            **distance,
            "error": f"parity: {bad} of {output.size} values are NaN or infinite",
        }
    difference = output.astype(np.float64) - reference
    norm = float(np.linalg.norm(reference))
    relative = float(np.linalg.norm(difference)) / norm if norm else math.inf
    measured = {"max_abs": float(np.abs(difference).max()), "relative_l2": relative}
    # JSON has neither NaN nor infinity, which a reference with one, or of zeros, gives.
    distance = {name: value if math.isfinite(value) else None for name, value in measured.items()}
    return {**distance, "error": _verdict(relative, label)}


def _verdict(relative: float, label: str) -> str | None:
    """Why a relative L2 difference may not pass as that precision."""
    precision, least = ROUNDING[label]
    most = PRECISIONS[precision].logits
    if not relative <= most:  # NaN too
        return f"parity: relative L2 {relative:.1e} from the reference is over {most:.0e}"
    if relative < least:
        return (
            f"{label} was asked, but relative L2 {relative:.1e} from float64 is finer than it can "
            "be: it ran in a higher precision and did not say so"
        )
    return None


def both(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """One ``check`` of two, made before the samples and after them: the larger differences.

    A pass can go wrong once it is timed: a graph that is replayed, a buffer that is used again.
    """
    worst = {
        name: max((c[name] for c in (before, after) if c[name] is not None), default=None)
        for name in ("max_abs", "relative_l2")
    }
    later = after["error"] and f"after the samples: {after['error']}"
    return {**worst, "error": before["error"] or later}


def refused(parity: Mapping[str, Any], label: str) -> str | None:
    """Why what a process says of its parity allows no time to stand beside it; None where it does.

    Its figures are judged again, whatever verdict stands beside them.
    """
    if parity["error"]:
        return f"its parity failed ({parity['error'].strip().splitlines()[-1]})"
    if label not in ROUNDING:
        return f"unknown precision {label!r}"
    if parity["relative_l2"] is None:
        return "parity without a difference that was measured"
    return _verdict(parity["relative_l2"], label)


def network(model: str, size: int) -> str | None:
    """Why there can be no speed of such a network; None where there can."""
    if model not in arch.ARCHITECTURES:
        return f"unknown model {model!r}"
    try:
        arch.multiply_adds(model, size, size)
    except (ValueError, weight_port.WeightPortError) as error:
        return f"{model} of {size} px: {error}"
    return None


def model_of(job: dict[str, Any]) -> str:
    """The network whose weights a job names: tensors can be those of several, file names can't."""
    return Path(job["weights"]).stem


def load_images(job: Mapping[str, Any]) -> Array:
    """The job's images; fewer than its file holds where the whole batch did not fit the memory."""
    images: Array = load_array(job["inputs"], "images")[: job["batch"]]
    return images


def end_with_parent() -> None:
    """From here on end when the process that started this one does; on Linux (prctl(2)).

    A run that is killed can't end its worker, which would go on beside the run that follows.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:  # it is gone already, and init has taken this one over
        raise SystemExit(1)


_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def max_rss_bytes() -> int:
    """The process' largest resident size so far."""
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): KiB on Linux, bytes on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def loaded_libraries() -> list[str]:
    """File names of the numerical libraries in this process; empty where /proc has no maps."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    names = {line.rsplit("/", 1)[-1] for line in lines if "/" in line}
    return sorted(name for name in names if name.startswith(_LIBRARIES))
