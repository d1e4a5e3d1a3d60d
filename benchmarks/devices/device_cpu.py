"""The CPU as a device, for both frameworks: what is called is done when the call returns."""

from __future__ import annotations

import time
from typing import Any


def describe() -> dict[str, Any] | None:
    """Nothing beyond what the record says of the machine."""
    return {}


def synchronise() -> None:
    """Nothing is queued: eager kernels of both frameworks end before their call returns."""


def record() -> int:
    """A timestamp in nanoseconds."""
    return time.perf_counter_ns()


def elapsed_ns(start: int, end: int) -> int:
    """Nanoseconds between two timestamps."""
    return end - start


def memory_peaks() -> dict[str, int]:
    """None: neither framework counts on a CPU; the process' resident peak is in the record."""
    return {}
