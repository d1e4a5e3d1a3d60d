"""The order of calls around a timed pass, with devices that write down what is asked of them."""

from __future__ import annotations

import importlib

import pytest

from benchmarks.devices import device_cpu, timing
from benchmarks.devices.timing import Plan


class RecordingDevice:
    """A device whose clock moves one microsecond with every call."""

    def __init__(self):
        self.calls = []

    def synchronise(self):
        self.calls.append("synchronise")

    def record(self):
        self.calls.append("record")
        return len(self.calls)

    def elapsed_ns(self, start, end):
        self.calls.append("elapsed")
        return 1000 * (end - start)

    def step(self):
        self.calls.append("run")


PASS = ["synchronise", "record", "run", "record", "synchronise", "elapsed"]


def test_warm_up_comes_first_then_every_pass_in_order():
    device = RecordingDevice()
    plan = Plan(warmup=3, min_count=2, min_seconds=0)
    samples = timing.repeat(device.step, device, plan)
    assert device.calls == ["run"] * 3 + PASS * 2
    assert samples["device_ns"] == [2000, 2000]


def test_the_wall_holds_the_enqueueing():
    samples = timing.repeat(lambda: sum(range(1000)), device_cpu, Plan(min_count=20, min_seconds=0))
    assert {len(times) for times in samples.values()} == {20}
    for device, wall, enqueue in zip(*samples.values(), strict=True):
        assert 0 < device <= enqueue <= wall


STEADY = [1000, 1001] * 500
NOISY = [1000, 2000] * 500


@pytest.mark.parametrize(
    ("times", "count", "seconds", "reason"),
    [
        (STEADY, 5, 1.0, None),  # five samples have no interval of the median
        (STEADY, 6, 1.0, "noise"),
        (STEADY, 4, 1.5, None),  # too few
        (STEADY, 500, 0.9, None),  # too short
        (NOISY, 500, 1.0, None),
        (STEADY, 1000, 0.5, "count"),
        (STEADY, 2, 9.0, "time"),
        (NOISY, 1000, 9.0, "count"),
    ],
)
def test_minima_and_low_noise_unless_a_maximum_comes_first(times, count, seconds, reason):
    plan = Plan(min_count=5, min_seconds=1, max_count=1000, max_seconds=9, max_noise=0.01)
    assert timing.Stop(plan).reason(times[:count], seconds) == reason


def test_without_a_limit_of_noise_the_minima_end_it():
    stop = timing.Stop(Plan(min_count=5, min_seconds=1))
    assert stop.reason(NOISY[:5], 0.9) is None
    assert stop.reason(NOISY[:5], 1.0) == "minima"


def test_noise_is_waited_for_with_patience_from_the_minima_on():
    stop = timing.Stop(Plan(min_count=5, min_seconds=1, max_noise=0.01, patience=2))
    reasons = [stop.reason(NOISY[:count], count / 2) for count in range(1, 20)]
    assert reasons.index("time") + 1 == 9  # samples: the fifth came at 2.5 s
    assert set(reasons[:8]) == {None}


def test_the_noise_is_looked_at_seldom(monkeypatch):
    looks = []
    monkeypatch.setattr(timing, "median_noise", lambda times: looks.append(len(times)) or 1.0)
    stop = timing.Stop(Plan(min_count=10, min_seconds=0, max_noise=0.01, patience=1e9))
    assert {stop.reason(NOISY[:count], 1.0) for count in range(1, 1000)} == {None}
    assert looks[:4] == [10, 13, 17, 22]
    assert len(looks) < 22


@pytest.mark.parametrize(
    ("levels", "reason", "count"), [((5, 5), "noise", 7), ((5, 9), "count", 50)]
)
def test_a_process_says_why_it_ended(levels, reason, count):
    """A pass takes one of two times in turn, alike or far apart; looks are at 5 and 7 samples."""

    class Alternating(RecordingDevice):
        def elapsed_ns(self, start, end):
            return levels[len(self.calls) // 5 % 2]

    device = Alternating()
    plan = Plan(warmup=0, min_count=5, min_seconds=0, max_count=50, max_noise=0.01)
    samples, stopped = timing.measure(device.step, device, plan)
    assert stopped == reason
    assert {len(times) for times in samples.values()} == {count}


def test_one_pass_is_taken_however_short_the_plan():
    device = RecordingDevice()
    samples = timing.repeat(device.step, device, Plan(warmup=0, max_seconds=0))
    assert len(samples["device_ns"]) == 1


def test_collection_is_off_while_timing_and_on_again_after_an_error():
    import gc

    seen = []

    def step():
        seen.append(gc.isenabled())
        if len(seen) == 3:
            raise RuntimeError("a kernel failed")

    with pytest.raises(RuntimeError, match="a kernel failed"):
        timing.repeat(step, device_cpu, Plan(warmup=1, min_count=9, min_seconds=0))
    assert seen == [True, False, False]
    assert gc.isenabled()


class FakeEvent:
    """An event of either framework: ``elapsed_time`` in milliseconds."""

    log: list[str]

    def __init__(self, enable_timing=False):
        assert enable_timing
        self.at = None

    def record(self):
        self.log.append("record")
        self.at = float(len(self.log))

    def elapsed_time(self, end):
        self.log.append("elapsed")
        return end.at - self.at


# framework -> its device layer, where its Event and synchronise are, and the GPU's five answers
LAYERS = {
    "torch": ("benchmarks.devices.device_torch", "cuda.Event", "cuda.synchronize", "cuda"),
    "paddle": (
        "benchmarks.devices.device_paddle",
        "device.Event",
        "device.synchronize",
        "device.cuda",
    ),
}


# Paddle's import says so where no ccache is installed; nothing here compiles C++.
@pytest.mark.filterwarnings("ignore:No ccache found:UserWarning")
@pytest.mark.parametrize("framework", list(LAYERS))
def test_a_gpu_pass_is_between_two_events_with_a_wait_on_either_side(framework, monkeypatch):
    """The real layers over fakes; patching a name that the framework has not would fail."""
    module, event, synchronise, cuda = LAYERS[framework]
    layer = importlib.import_module(module)
    calls = []
    monkeypatch.setattr(f"{framework}.{event}", type("Event", (FakeEvent,), {"log": calls}))
    monkeypatch.setattr(f"{framework}.{synchronise}", lambda: calls.append("synchronise"))
    sample = timing.once(lambda: calls.append("run"), layer)
    assert calls == PASS
    assert sample["device_ns"] == 2_000_000  # two milliseconds between the events
    for name, value in (("allocated", 7), ("reserved", 9)):
        monkeypatch.setattr(f"{framework}.{cuda}.max_memory_{name}", lambda value=value: value)
    assert layer.memory_peaks() == {"allocated_bytes": 7, "reserved_bytes": 9}


@pytest.mark.filterwarnings("ignore:No ccache found:UserWarning")
def test_a_gpu_is_described_alike_and_its_absence_is_none(monkeypatch):
    answers = {
        "torch.cuda.is_available": True,
        "torch.cuda.get_device_name": "A GPU",
        "torch.backends.cudnn.version": 92400,
        "paddle.is_compiled_with_cuda": True,
        "paddle.device.cuda.device_count": 1,
        "paddle.device.cuda.get_device_name": "A GPU",
        "paddle.device.get_cudnn_version": 92400,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(name, lambda *_, answer=answer: answer)
    layers = [importlib.import_module(f"benchmarks.devices.device_{name}") for name in LAYERS]
    said = [layer.describe() for layer in layers]
    assert [list(description) for description in said] == [["name", "cuda", "cudnn"]] * 2
    assert {(description["name"], description["cudnn"]) for description in said} == {
        ("A GPU", 92400)
    }
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("paddle.device.cuda.device_count", lambda: 0)
    assert [layer.describe() for layer in layers] == [None, None]


FIVE = {"describe", "synchronise", "record", "elapsed_ns", "memory_peaks"}


@pytest.mark.filterwarnings("ignore:No ccache found:UserWarning")
@pytest.mark.parametrize("name", ["device_cpu", "device_torch", "device_paddle"])
def test_every_device_layer_has_the_same_five_functions(name):
    layer = importlib.import_module(f"benchmarks.devices.{name}")
    own = {
        key
        for key, value in vars(layer).items()
        if getattr(value, "__module__", "") == layer.__name__
    }
    assert own == FIVE
