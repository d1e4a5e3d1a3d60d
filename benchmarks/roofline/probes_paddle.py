"""The machine's peaks through Paddle; the mirror of ``probes_torch``."""

from __future__ import annotations

from functools import partial
from typing import Any

import paddle
import paddle.nn.functional as F

from benchmarks.devices.timing import Device
from benchmarks.roofline import probes


def _product(n: int, dtype: str) -> probes.Step:
    a = paddle.rand([n, n]).astype(dtype)
    return lambda: a @ a


def _convolution(batch: int, channels: int, side: int, layout: str, dtype: str) -> probes.Step:
    shape = [batch, side, side, channels] if layout == "NHWC" else [batch, channels, side, side]
    x = paddle.rand(shape).astype(dtype)
    weights = paddle.rand([channels, channels, 3, 3]).astype(dtype)
    return lambda: F.conv2d(x, weights, padding=1, data_format=layout)


def _copy(count: int) -> probes.Step:
    source = paddle.rand([count])
    target = paddle.zeros([count])  # written once, so that its pages are there
    return lambda: paddle.assign(source, output=target)


def measure(device: Device, job: dict[str, Any]) -> dict[str, Any]:
    """Samples of the probes in the job's precision."""
    dtype = probes.DTYPES[job["precision"]]
    makers = probes.Makers(
        partial(_product, dtype=dtype), partial(_convolution, dtype=dtype), _copy
    )
    with paddle.no_grad():
        return probes.measure(makers, device, job)
