"""The GPU that torch uses; the mirror of ``device_paddle``. See ``timing.Device``."""

from __future__ import annotations

from typing import Any

import torch


def describe() -> dict[str, Any] | None:
    """The GPU's name and the CUDA and cuDNN at work; None where torch has no GPU."""
    if not torch.cuda.is_available():
        return None
    return {
        "name": torch.cuda.get_device_name(0),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }


def synchronise() -> None:
    """Wait for everything on the GPU."""
    torch.cuda.synchronize()


def record() -> Any:
    """An event on the current stream."""
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record()
    return event


def elapsed_ns(start: Any, end: Any) -> int:
    """Nanoseconds between two events; CUDA's resolution is about half a microsecond."""
    milliseconds: float = start.elapsed_time(end)
    return round(milliseconds * 1e6)


def memory_peaks() -> dict[str, int]:
    """Bytes in tensors, and bytes that the caching allocator held, at their highest."""
    return {
        "allocated_bytes": torch.cuda.max_memory_allocated(),
        "reserved_bytes": torch.cuda.max_memory_reserved(),
    }
