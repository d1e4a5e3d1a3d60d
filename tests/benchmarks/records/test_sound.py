"""What no record may hold: times without parity, processes listed twice, clocks that lie."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from benchmarks import kinds
from benchmarks.__main__ import main
from benchmarks.devices import device_cpu
from benchmarks.experiments.forward.worker import time_forward
from benchmarks.experiments.latency import worker as latency_worker
from benchmarks.experiments.throughput import ranks
from benchmarks.experiments.train import worker as train_worker
from benchmarks.harness import worker
from benchmarks.records.record import RecordError
from tests import ROOT
from tests.helpers.benchmark_records import small_record
from tests.helpers.experiment_records import latency_record, throughput_record

RESULTS = ROOT / "benchmarks" / "results"
WRONG = "parity: relative L2 9e-1 from the reference is over 1e-04"


def first(made):
    return made["cells"][0]["processes"][0]


def scale(clock, factor):
    def change(made):
        times = first(made)["samples"]
        times[clock] = [round(ns * factor) for ns in times[clock]]

    return change


def put(value, *path):
    def change(made):
        place = made
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


def again(made, **other):
    processes = made["cells"][0]["processes"]
    processes.append({**copy.deepcopy(processes[0]), **other})


PROCESS = ("cells", 0, "processes", 0)
SAMPLE = (*PROCESS, "samples", "device_ns", 0)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (put(WRONG, *PROCESS, "parity", "error"), "samples without parity: its parity failed"),
        (put(0.9, *PROCESS, "parity", "relative_l2"), "relative L2 9.0e-01"),
        (put(None, *PROCESS, "parity", "relative_l2"), "without a difference"),
        (put(float("nan"), *PROCESS, "parity", "relative_l2"), "nan is no number"),
        (put(float("inf"), *PROCESS, "parity", "max_abs"), "inf is no number"),
        (again, "two processes of one round"),
        (lambda made: again(made, round=7), "two processes with the same samples"),
        (scale("device_ns", 0.1), "device time far below wall time"),
        (scale("device_ns", 0.5), "device time far below wall time"),
        (scale("device_ns", 1.1), "device time beyond wall time"),
        (scale("device_ns", 40), "device time beyond wall time"),
        (scale("enqueue_ns", 2), "enqueue time beyond wall time"),
        (put([1] * 3, *PROCESS, "samples", "wall_ns"), "not as many samples"),
        (put(0, *SAMPLE), "a time of 0 ns"),
        (put(10**400, *SAMPLE), r"above 2\^63"),
        (put(2**64, *SAMPLE), r"above 2\^63"),
        (put(10**18, *SAMPLE), "more than a day"),
        (put(10**400, *PROCESS, "first_call_ns"), r"above 2\^63"),
        (put(10**400, "cells", 0, "batch"), r"above 2\^63"),
        (put("resnet99", "cells", 0, "model"), "unknown model 'resnet99'"),
        (put("", "cells", 0, "model"), "unknown model ''"),
        (put("int3", "cells", 0, "precision"), "unknown precision 'int3'"),
        (put("tpu", "settings", "device"), "unknown device 'tpu'"),
        (put("  ", "cells", 0, "error"), "an error that says nothing"),
        (put([], "peaks", 0, "products", 0, "device_ns"), r"peaks\[0\]: no samples"),
        (put([0], "peaks", 0, "products", 0, "device_ns"), r"peaks\[0\]: a time of 0 ns"),
        (put("speed", "kind"), "a record of 'speed'"),
        (put(["forward"], "kind"), "a record of "),
        (put({}, "kind"), "a record of "),
    ],
)
def test_what_can_not_have_been_measured_is_an_error_of_the_record(spoil, said, tmp_path, capsys):
    made = small_record()
    kinds.check(made, "sound")
    spoil(made)
    with pytest.raises(RecordError, match=said):
        kinds.check(made, "spoilt")
    path = tmp_path / "spoilt.json"
    path.write_text(json.dumps(made))
    assert main(["show", str(path)]) == 2
    assert not capsys.readouterr().out


def test_a_gpu_takes_longer_on_the_wall_and_not_ten_times_as_long():
    made = small_record()
    made["settings"]["device"] = "gpu"
    scale("device_ns", 0.9)(made)
    kinds.check(made, "a GPU's")
    scale("device_ns", 0.5)(made)
    with pytest.raises(RecordError, match="far below wall time"):
        kinds.check(made, "a GPU's")


def twice(processes):
    processes.append(copy.deepcopy(processes[0]))


COMMITTED = {
    "layers-nchw-cpu.json": lambda made: made["sides"][0]["processes"],
    "port-cpu.json": lambda made: made["commands"][0]["runs"],
    "parity-cost.json": lambda made: made["commands"][0]["wall_ns"],
    "selftest-cpu.json": lambda made: made["groups"][0]["cells"][0]["processes"],
    "train-cpu.json": lambda made: made["rows"][0]["processes"],
}


@pytest.mark.parametrize("name", COMMITTED)
def test_a_process_listed_twice_is_refused_in_every_kind(name):
    made = kinds.read(RESULTS / name)
    twice(COMMITTED[name](made))
    with pytest.raises(RecordError, match=r"twice|one process per round|processes of"):
        kinds.check(made, name)


@pytest.mark.parametrize(
    ("make", "processes"),
    [
        (throughput_record, lambda made: made["rows"][0]["runs"]),
        (latency_record, lambda made: made["rows"][0]["processes"]),
    ],
)
def test_queries_and_ranks_need_parity_and_stand_once(make, processes):
    made = make()
    kinds.check(made, "sound")
    twice(processes(made))
    with pytest.raises(RecordError, match="listed twice"):
        kinds.check(made, "twice")
    wrong = make()
    process = processes(wrong)[0]
    part = process.get("ranks", [process])[0]
    part["parity"] = {**part["parity"], "relative_l2": 0.9}
    with pytest.raises(RecordError, match=r"relative L2 9\.0e-01"):
        kinds.check(wrong, "wrong")


def test_every_committed_record_is_sound():
    names = [p for p in RESULTS.glob("*-cpu.json") if p.name != "cifar-cpu.json"]
    assert len(names) == 11
    for path in [*names, RESULTS / "parity-cost.json"]:
        kinds.read(path)


REFERENCE = np.random.default_rng(0).standard_normal((1, 10))


class Drifting:
    """A pass that is right ``good`` times and NaN from then on."""

    def __init__(self, good):
        self.good = good

    def __call__(self):
        self.good -= 1
        return REFERENCE.astype(np.float32) if self.good >= 0 else np.full((1, 10), np.nan, "f4")


@pytest.fixture
def job(tmp_path):
    worker.save_array(tmp_path / "reference.safetensors", "logits", REFERENCE)
    plan = {"min_seconds": 0.0, "max_count": 20}
    return {
        "reference": str(tmp_path / "reference.safetensors"),
        "batch": 1,
        "precision": "fp32",
        "plan": plan,
        "passes": 4,
        "scenario": "single-stream",
        "queries": 5,
    }


@pytest.mark.parametrize(("good", "passes"), [(10**6, True), (1, False), (5, False), (0, False)])
def test_outputs_are_compared_after_the_samples_too(good, passes, job):
    """The first call is right, and what is timed then is not: no speed, and the reason."""

    def asarray(output):
        return output

    forward = time_forward(lambda: Drifting(good), asarray, device_cpu, job)
    latency = latency_worker.answer(lambda: Drifting(good), asarray, device_cpu, job)
    several = ranks.passes(Drifting(good), asarray, device_cpu, lambda: None, job)
    for result in (forward, latency, several):
        assert (result["parity"]["error"] is None) is passes
        if not passes and good:
            assert result["parity"]["error"].startswith("after the samples: parity: 10 of 10")
    assert (forward["samples"] is not None) is passes
    assert (latency["queries"] is not None) is passes


def test_a_training_whose_loss_is_no_number_has_no_time():
    assert train_worker._time("loop", lambda: 1.0) > 0
    assert train_worker._time("feed", lambda: None) > 0
    for loss in (float("nan"), float("inf")):
        with pytest.raises(RuntimeError, match="the bare loop's loss became"):
            train_worker._time("bare", lambda loss=loss: loss)
