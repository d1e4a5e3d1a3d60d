"""What NVML says is recorded and warned of; a fake library stands for it."""

from __future__ import annotations

import sys
import types

import pytest

from benchmarks.devices import gpu_monitor


class FakeError(Exception):
    """NVML's error type."""


def fake_nvml(clocks=(1980,), throttle=(0,), crowd=(1,), broken=()):
    """A library whose readings come from the lists, the last one again and again."""
    counts: dict[str, int] = {}

    def reading(name, values):
        def read(*_):
            if name in broken:
                raise FakeError(name)
            index = counts[name] = counts.get(name, -1) + 1
            return values[min(index, len(values) - 1)]

        return read

    processes = [[types.SimpleNamespace(pid=n) for n in range(size)] for size in crowd]
    return types.SimpleNamespace(
        NVMLError=FakeError,
        NVML_CLOCK_SM=1,
        NVML_CLOCK_MEM=2,
        nvmlInit=reading("init", [None]),
        nvmlDeviceGetHandleByIndex=reading("handle", ["gpu"]),
        nvmlDeviceGetHandleByUUID=reading("uuid", ["gpu"]),
        nvmlDeviceGetClockInfo=reading("clock", clocks),
        nvmlDeviceGetTemperature=reading("temperature", [41]),
        nvmlDeviceGetPowerUsage=reading("power", [350_000]),
        nvmlDeviceGetMemoryInfo=reading("memory", [types.SimpleNamespace(used=5)]),
        nvmlDeviceGetCurrentClocksEventReasons=reading("reasons", throttle),
        nvmlDeviceGetComputeRunningProcesses=reading("processes", processes),
    )


def watch(monkeypatch, **readings):
    """What is seen of a block, with at least two samples."""
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(**readings))
    monkeypatch.setattr(gpu_monitor, "PERIOD", 0.001)
    with gpu_monitor.watch("gpu") as seen:
        while len(seen.get("samples", [0, 0])) < 2:
            pass
    return seen


def test_readings_have_their_units(monkeypatch):
    first = watch(monkeypatch)["samples"][0]
    assert first == {
        "sm_mhz": 1980,
        "memory_mhz": 1980,
        "celsius": 41,
        "watts": 350.0,
        "used_bytes": 5,
        "throttled": [],
    }


def test_a_quiet_gpu_gives_no_warning(monkeypatch):
    # Bit 0 is idle and bit 1 the application's clocks: neither is throttling.
    assert gpu_monitor.warnings(watch(monkeypatch, throttle=(1, 2, 3))) == []


@pytest.mark.parametrize(
    ("bits", "name"),
    [
        (0x04, "power cap"),
        (0x08, "hardware slowdown"),
        (0x20, "thermal (software)"),
        (0x40, "thermal (hardware)"),
        (0x80, "power brake"),
        (0x24, "power cap, thermal (software)"),
    ],
)
def test_throttling_is_named(bits, name, monkeypatch):
    assert gpu_monitor.warnings(watch(monkeypatch, throttle=(0, bits))) == [f"throttled: {name}"]


def test_others_on_the_gpu_are_counted(monkeypatch):
    assert gpu_monitor.warnings(watch(monkeypatch, crowd=(0, 3, 1))) == [
        "2 other processes on the GPU"
    ]


def test_a_sensor_that_a_board_lacks_is_none(monkeypatch):
    seen = watch(monkeypatch, broken=("power", "reasons", "processes"))
    assert seen["samples"][0]["watts"] is None
    assert gpu_monitor.warnings(seen) == []


@pytest.mark.parametrize("broken", ["init", "handle"])
def test_without_a_driver_nothing_is_seen(broken, monkeypatch):
    assert watch(monkeypatch, broken=(broken,)) == {}


def test_nothing_is_watched_on_a_cpu_or_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)  # its import fails
    for device in ("cpu", "gpu"):
        with gpu_monitor.watch(device) as seen:
            pass
        assert seen == {}
    assert gpu_monitor.warnings(None) == gpu_monitor.warnings({}) == []


@pytest.mark.parametrize("visible", ["3", "GPU-8a1b", ""])
def test_the_gpu_that_the_run_uses_is_watched(visible, monkeypatch):
    library = fake_nvml()
    asked = []
    library.nvmlDeviceGetHandleByIndex = asked.append
    library.nvmlDeviceGetHandleByUUID = asked.append
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    gpu_monitor._handle()
    assert asked == [{"3": 3, "GPU-8a1b": "GPU-8a1b", "": 0}[visible]]
