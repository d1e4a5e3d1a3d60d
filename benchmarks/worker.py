"""What both workers do alike: read the job's files, check parity, then time. No framework here."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import weight_port
from benchmarks.timing import Device, Plan, repeat
from parity.compare import TOLERANCES
from weight_port import safetensors_file

Array = np.ndarray[Any, Any]

# Several, because the best blocking differs by machine; a GPU needs larger ones to be busy.
PRODUCT_SIZES = {"cpu": (512, 1024, 2048), "gpu": (2048, 4096, 8192)}
PRODUCT_PLAN = Plan(warmup=1, min_count=3, min_seconds=0.3)
DTYPES = {"fp32": "float32"}

_LIBRARIES = ("libcudnn", "libcublas", "libnccl", "libdnnl", "libmkl", "libiomp", "libgomp")


def versions(*packages: str) -> dict[str, str | None]:
    """Installed versions by package; None where one is not installed."""
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def load_array(path: str, name: str) -> Array:
    """One array of a job's .safetensors file."""
    return weight_port.read(path)[name]


def save_array(path: str | Path, name: str, array: Array) -> None:
    """Write one array for another process of the run."""
    with open(path, "wb") as stream:
        safetensors_file.write(stream, {name: array})


def check(output: Array, reference: Array, dtype: str) -> dict[str, Any]:
    """How far ``output`` (N, classes) is from the float64 ``reference``, and whether it may pass.

    Shape and dtype before values, NaN and infinity before differences; the tolerance is that of
    the parity run. ``error`` says why it may not pass, None where it may.
    """
    found: dict[str, Any] = {"max_abs": None, "relative_l2": None}
    if output.shape != reference.shape:
        shapes = f"{list(output.shape)}, the reference {list(reference.shape)}"
        return {**found, "error": f"parity: the output's shape is {shapes}"}
    if output.dtype != np.dtype(dtype):
        return {**found, "error": f"parity: the output is {output.dtype}, {dtype} was asked"}
    bad = output.size - int(np.isfinite(output).sum())
    if bad:
        return {**found, "error": f"parity: {bad} of {output.size} values are NaN or infinite"}
    difference = output.astype(np.float64) - reference
    norm = float(np.linalg.norm(reference))
    relative = float(np.linalg.norm(difference)) / norm if norm else math.inf
    measured = {"max_abs": float(np.abs(difference).max()), "relative_l2": relative}
    # JSON has neither NaN nor infinity, which a reference with one, or of zeros, gives.
    found = {name: value if math.isfinite(value) else None for name, value in measured.items()}
    if relative <= TOLERANCES[dtype]:  # false for NaN
        return {**found, "error": None}
    over = f"relative L2 {relative:.1e} from the reference is over {TOLERANCES[dtype]:.0e}"
    return {**found, "error": f"parity: {over}"}


def time_forward(
    forward: Callable[[], Any],
    to_array: Callable[[Any], Array],
    device: Device,
    job: dict[str, Any],
) -> dict[str, Any]:
    """Parity of the first call's output, then the samples: a failing row is never timed."""
    begin = time.perf_counter_ns()
    output = to_array(forward())
    first_call = time.perf_counter_ns() - begin
    parity = check(output, load_array(job["reference"], "logits"), DTYPES[job["precision"]])
    samples = None if parity["error"] else repeat(forward, device, Plan(**job["plan"]))
    memory = {"max_rss_bytes": max_rss_bytes(), **device.memory_peaks()}
    return {
        "first_call_ns": first_call,
        "parity": parity,
        "samples": samples,
        "memory": memory,
        "libraries": loaded_libraries(),
    }


def time_product(product: Callable[[], Any], n: int, device: Device) -> dict[str, Any]:
    """Samples of one product of two n×n matrices: 2n³ floating-point operations."""
    return {"n": n, "device_ns": repeat(product, device, PRODUCT_PLAN)["device_ns"]}


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
