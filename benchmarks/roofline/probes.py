"""The machine's own peaks, as a framework reaches them: what is probed, and how.

This file imports no framework.

Three probes: products of square matrices, a 3x3 convolution of the kind that ResNets spend their
time in, and a copy that no cache holds. A product alone is no ceiling: convolutions were measured
faster than the fastest product on CPUs with AVX-512.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.devices.timing import Device, Plan, repeat

Step = Callable[[], Any]

# Precision of a row -> the precision whose kernels do the work, if it is another.
KERNELS = {"amp-fp16": "fp16", "amp-bf16": "bf16"}
DTYPES = {"fp32": "float32", "tf32": "float32", "fp16": "float16", "bf16": "bfloat16"}

# Several, because the best blocking differs by machine; a GPU needs larger ones to be busy.
PRODUCT_SIZES = {"cpu": (512, 1024, 2048), "gpu": (2048, 4096, 8192)}
PLAN = Plan(warmup=1, min_count=3, min_seconds=0.3, max_seconds=0.6)

# (batch, channels in and out, height and width of the images): 1.8 and 237 GFLOP.
CONVOLUTIONS = {"cpu": (8, 128, 28), "gpu": (64, 256, 56)}
LAYOUTS = ("NCHW", "NHWC")  # either may be the faster one; the peak is the best of both

# Elements as "Sustainable Memory Bandwidth in High Performance Computers" (McCalpin, STREAM) asks:
# each array at least four times the last cache. An H100's has 50 MB.
_CACHES = 4
_MIN_BYTES = {"cpu": 64 << 20, "gpu": 1 << 30}
_MAX_BYTES = 1 << 30

# A probe of the next size is eight times as long: after one slower than this it is left out. Such
# are emulated precisions: bfloat16 products at 1 GFLOP/s on CPUs that know no such type.
SLOW_NS = 125_000_000


@dataclass(frozen=True)
class Makers:
    """What a framework gives: functions that make the inputs and return what is timed."""

    product: Callable[[int], Step]  # n
    convolution: Callable[[int, int, int, str], Step]  # batch, channels, side, layout
    copy: Callable[[int], Step]  # float32 elements


def precisions(cells: Iterable[str]) -> list[str]:
    """What is probed for rows of these precisions: float32 first, and always."""
    return list(dict.fromkeys(["fp32", *(KERNELS.get(name, name) for name in cells)]))


def convolution_flops(batch: int, channels: int, side: int) -> int:
    """Operations of a padded 3x3 convolution: two for each tap, those on the padding too."""
    return 2 * batch * channels * channels * 9 * side * side


def last_cache(folder: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> int:
    """Bytes of the largest cache that Linux says the first core has; 0 where it doesn't say."""
    units = {"K": 1 << 10, "M": 1 << 20}
    texts = [path.read_text().strip() for path in sorted(folder.glob("index*/size"))]
    return max(
        (int(text[:-1]) * units[text[-1]] for text in texts if text[-1:] in units), default=0
    )


def copied_bytes(device: str) -> int:
    """Size of the array that is copied."""
    wanted = _CACHES * last_cache() if device == "cpu" else 0
    return min(max(_MIN_BYTES[device], wanted), _MAX_BYTES)


def _time(step: Step, device: Device) -> list[int]:
    return repeat(step, device, PLAN)["device_ns"]


def _products(makers: Makers, device: Device, kind: str) -> Iterator[dict[str, Any]]:
    for n in PRODUCT_SIZES[kind]:
        times = _time(makers.product(n), device)
        yield {"n": n, "device_ns": times}
        if min(times) > SLOW_NS:
            return


def _convolutions(makers: Makers, device: Device, kind: str) -> Iterator[dict[str, Any]]:
    batch, channels, side = CONVOLUTIONS[kind]
    for layout in LAYOUTS:
        times = _time(makers.convolution(batch, channels, side, layout), device)
        sizes = {"batch": batch, "channels": channels, "side": side, "layout": layout}
        yield {**sizes, "device_ns": times}
        if min(times) > SLOW_NS:
            return


def _copies(makers: Makers, device: Device, kind: str) -> Iterator[dict[str, Any]]:
    size = copied_bytes(kind)
    yield {"bytes": size, "device_ns": _time(makers.copy(size // 4), device)}


def measure(makers: Makers, device: Device, job: dict[str, Any]) -> dict[str, Any]:
    """Samples of every probe; ``error`` is of those that the framework has no kernel for."""
    probes = {"products": _products, "convolutions": _convolutions}
    if job["copies"]:
        probes["copies"] = _copies
    samples: dict[str, Any] = {name: [] for name in probes}
    errors = []
    for name, probe in probes.items():
        try:
            for entry in probe(makers, device, job["device"]):
                samples[name].append(entry)
        except (RuntimeError, TypeError, ValueError) as error:
            errors.append(f"{name}: {_telling_line(error)}")
    return {**samples, "error": "; ".join(errors) or None}


def _telling_line(error: Exception) -> str:
    """Of a C++ trace, as Paddle raises, the line that says what was wrong: hints come after it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("[")]
    return (telling or lines or [type(error).__name__])[-1]
