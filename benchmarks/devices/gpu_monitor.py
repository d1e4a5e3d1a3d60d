"""What the GPU did meanwhile: clocks, temperature, power, throttling, others' processes.

Sampled in the parent, through NVML (``nvidia-ml-py``, extra ``gpu``), so that nothing runs in the
process that is timed. A figure taken on throttled clocks, or beside someone else's work, says so.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PERIOD = 0.1  # seconds; NVML's own power reading is an average over 25 to 100 ms

# Reasons for a lower clock that a benchmark must not have, as NVML's bits (nvml.h,
# nvmlClocksEventReasons): idle and application clocks are not among them.
THROTTLING = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "thermal (software)",
    0x40: "thermal (hardware)",
    0x80: "power brake",
}


def _or_none(read: Callable[[], Any]) -> Any:
    """A reading; None where the board or driver has no such sensor."""
    import pynvml

    try:
        return read()
    except pynvml.NVMLError:
        return None


def reasons(bits: int) -> list[str]:
    """The names of the throttling reasons whose bits are set."""
    return [name for bit, name in THROTTLING.items() if bits & bit]


def sample(handle: Any) -> dict[str, Any]:
    """One reading: MHz, degrees Celsius, watts, bytes, reasons for throttling."""
    import pynvml as nvml

    power = _or_none(lambda: nvml.nvmlDeviceGetPowerUsage(handle))
    memory = _or_none(lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used)
    bits = _or_none(lambda: nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    return {
        "sm_mhz": _or_none(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
        "memory_mhz": _or_none(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM)),
        "celsius": _or_none(lambda: nvml.nvmlDeviceGetTemperature(handle, 0)),
        "watts": None if power is None else power / 1000,
        "used_bytes": memory,
        "throttled": reasons(bits or 0),
    }


def crowd(handle: Any) -> int:
    """How many processes compute on the GPU. Not which: in a container their ids are foreign."""
    import pynvml as nvml

    return len(_or_none(lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle)) or [])


def _watch(handle: Any, seen: dict[str, Any], stop: threading.Event) -> None:
    while True:
        seen["samples"].append(sample(handle))
        seen["crowd"] = max(seen["crowd"], crowd(handle))
        if stop.wait(PERIOD):
            return


@contextmanager
def watch(device: str) -> Iterator[dict[str, Any]]:
    """A dict that fills while the block runs: ``samples`` in time order, and the largest ``crowd``.

    It stays empty on a CPU, and where there is no NVML or no package for it.
    """
    watched: dict[str, Any] = {}
    handle = None
    if device == "gpu":
        handle = _handle()
    if handle is None:
        yield watched
        return
    watched.update(samples=[], crowd=0)
    stop = threading.Event()
    thread = threading.Thread(target=_watch, args=(handle, watched, stop), daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        stop.set()
        thread.join()


def _handle() -> Any:
    """The first GPU that the run may use; None without NVML."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except ImportError:
        return None
    except pynvml.NVMLError:
        return None
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0] or "0"
    if first.isdecimal():
        return _or_none(lambda: pynvml.nvmlDeviceGetHandleByIndex(int(first)))
    return _or_none(lambda: pynvml.nvmlDeviceGetHandleByUUID(first))


def warnings(monitor: dict[str, Any] | None) -> list[str]:
    """What speaks against a process' times; empty where nothing does or nothing was seen."""
    if not monitor:
        return []
    slowed = sorted({reason for one in monitor["samples"] for reason in one["throttled"]})
    found = [f"throttled: {', '.join(slowed)}"] if slowed else []
    if monitor["crowd"] > 1:  # a run has one process on it at a time
        found.append(f"{monitor['crowd'] - 1} other processes on the GPU")
    return found
