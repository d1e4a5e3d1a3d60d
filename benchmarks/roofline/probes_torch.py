"""The machine's peaks through PyTorch; the mirror of ``probes_paddle``."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from benchmarks.devices.timing import Device
from benchmarks.roofline import probes

FORMATS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}


def _product(n: int, dtype: torch.dtype, place: str) -> probes.Step:
    a = torch.rand(n, n, device=place).to(dtype)
    return lambda: a @ a


def _convolution(
    batch: int, channels: int, side: int, layout: str, dtype: torch.dtype, place: str
) -> probes.Step:
    x = torch.rand(batch, channels, side, side, device=place)
    weights = torch.rand(channels, channels, 3, 3, device=place)
    x, weights = (t.to(dtype, memory_format=FORMATS[layout]) for t in (x, weights))
    return lambda: F.conv2d(x, weights, padding=1)


def _copy(count: int, place: str) -> probes.Step:
    source = torch.rand(count, device=place)
    target = torch.zeros_like(source)  # written once, so that its pages are there
    return lambda: target.copy_(source)


def measure(device: Device, place: str, job: dict[str, Any]) -> dict[str, Any]:
    """Samples of the probes in the job's precision."""
    given: dict[str, Any] = {
        "dtype": getattr(torch, probes.DTYPES[job["precision"]]),
        "place": place,
    }
    makers = probes.Makers(
        partial(_product, **given), partial(_convolution, **given), partial(_copy, place=place)
    )
    with torch.inference_mode():
        return probes.measure(makers, device, job)
