"""The GPU that Paddle uses; the mirror of ``device_torch``. See ``timing.Device``."""

from __future__ import annotations

from typing import Any

import paddle


def describe() -> dict[str, Any] | None:
    """The GPU's name and the CUDA and cuDNN at work; None where Paddle has no GPU."""
    if not paddle.is_compiled_with_cuda() or not paddle.device.cuda.device_count():
        return None
    return {
        "name": paddle.device.cuda.get_device_name(0),
        "cuda": paddle.version.cuda(),
        "cudnn": paddle.device.get_cudnn_version(),
    }


def synchronise() -> None:
    """Wait for everything on the GPU."""
    paddle.device.synchronize()


def record() -> Any:
    """An event on the current stream; ``paddle.device.cuda.Event`` is a stub in CPU wheels."""
    event = paddle.device.Event(enable_timing=True)
    event.record()
    return event


def elapsed_ns(start: Any, end: Any) -> int:
    """Nanoseconds between two events; CUDA's resolution is about half a microsecond."""
    milliseconds: float = start.elapsed_time(end)
    return round(milliseconds * 1e6)


def memory_peaks() -> dict[str, int]:
    """Bytes in tensors, and bytes that the caching allocator held, at their highest."""
    return {
        "allocated_bytes": paddle.device.cuda.max_memory_allocated(),
        "reserved_bytes": paddle.device.cuda.max_memory_reserved(),
    }
