"""Queries and scenarios on a clock that only the tests move, records of them, and real workers."""

from __future__ import annotations

import copy
import csv
import dataclasses
import io
import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import kinds, stats
from benchmarks.__main__ import main
from benchmarks.devices import device_cpu
from benchmarks.experiments.latency import measure as latency
from benchmarks.experiments.latency import queries, scenarios
from benchmarks.experiments.latency import rows as latency_rows
from benchmarks.experiments.latency import worker as latency_worker
from benchmarks.experiments.latency.table import figure
from benchmarks.grid.cells import Cell
from benchmarks.harness import frameworks, worker
from benchmarks.harness.frameworks import RunError
from benchmarks.records import record
from parity.workers.launch import WorkerError
from tests.helpers.benchmark_records import small_record
from tests.helpers.bounds import spread
from tests.helpers.exit_status import status

MS = 1_000_000


class FakeClock:
    """Time passes only while something is served or waited for."""

    def __init__(self, begin=0):
        self.time = begin

    def now(self):
        return self.time

    def wait_until(self, moment):
        self.time = max(self.time, moment)


def server(clock, times):
    """A service whose n-th answer takes the n-th of ``times``."""
    left = iter(times)

    def serve():
        clock.time += next(left)

    return serve


def played(arrivals, times, begin=0, loop=queries.open_loop):
    clock = FakeClock(begin)
    return loop(server(clock, times), clock, arrivals)


GAPS = st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 10**9)), min_size=1, max_size=50)


@given(GAPS, st.integers(0, 10**12))
def test_a_query_waits_as_lindley_s_recursion_says(pairs, begin):
    """Lindley (1952): W' = max(0, W + S - gap), of a queue that one server empties in order."""
    gaps, times = zip(*pairs, strict=True)
    found = played(np.cumsum(gaps), times, begin)
    wait = 0
    for index, query in enumerate(found):
        if index:
            wait = max(0, wait + times[index - 1] - gaps[index])
        assert query.started - query.scheduled == wait
        assert query.ended - query.started == times[index]
        assert query.latency == wait + times[index] >= times[index]
    assert [query.scheduled - begin for query in found] == list(np.cumsum(gaps))


@given(GAPS)
def test_queries_of_a_closed_loop_never_wait(pairs):
    times = [time for _, time in pairs]
    found = played(len(times), times, loop=queries.closed_loop)
    assert [query.latency for query in found] == times
    assert all(a.ended == b.scheduled for a, b in itertools.pairwise(found))


def test_queries_that_are_all_there_wait_for_those_ahead():
    found = played(3, [5, 7, 1], begin=100, loop=queries.at_once)
    assert [query.scheduled for query in found] == [100] * 3
    assert [query.latency for query in found] == [5, 12, 13]


def test_arrivals_are_poisson_and_follow_their_seed():
    """Exponential gaps: mean 1/rate, standard deviation equal to it, and a share e^-1 above it."""
    found = queries.poisson(50, 20_000, 3)
    gaps = np.diff(found, prepend=0) / (1e9 / 50)
    assert found.dtype == np.int64
    assert (gaps >= 0).all()
    assert abs(gaps.mean() - 1) < 4 / math.sqrt(len(gaps))
    assert abs(gaps.std() - 1) < 0.05
    assert abs((gaps > 1).mean() - math.exp(-1)) < 4 * 0.5 / math.sqrt(len(gaps))
    assert np.array_equal(found, queries.poisson(50, 20_000, 3))
    assert not np.array_equal(found, queries.poisson(50, 20_000, 4))


@pytest.mark.parametrize("load", [0.3, 0.5, 0.7])
def test_a_constant_service_waits_as_m_d_1_does(load):
    """Mean wait ρS / (2(1-ρ)), within the statistical error of twenty runs."""
    service = 10 * MS
    means = [
        np.mean([query.latency for query in run]) - service
        for run in (
            played(queries.poisson(load * 1e9 / service, 2000, seed), [service] * 2000)
            for seed in range(20)
        )
    ]
    expected = load * service / (2 * (1 - load))
    assert queries.pollaczek_khinchine(load * 1e9 / service, [service]) == pytest.approx(expected)
    error = np.std(means, ddof=1) / math.sqrt(len(means))
    assert abs(np.mean(means) - expected) < 4 * error < expected / 5


def test_a_service_that_varies_waits_longer_and_one_that_lags_behind_has_no_mean():
    steady = queries.pollaczek_khinchine(50, [10 * MS, 10 * MS])
    varying = queries.pollaczek_khinchine(50, [1 * MS, 19 * MS])
    assert varying == pytest.approx(steady * (1 + 81 / 100))
    assert queries.pollaczek_khinchine(100, [10 * MS]) is None


def from_the_start(serve, clock, arrivals):
    """The mutation: a load generator that counts from when it sends."""
    return [
        queries.Query(query.started, query.started, query.ended)
        for query in queries.open_loop(serve, clock, arrivals)
    ]


def late(loop):
    """Queries that waited for a stall of a second, of a service of 1 ms, one query each 10 ms."""
    arrivals = [index * 10 * MS for index in range(200)]
    times = [1000 * MS if index == 20 else MS for index in range(200)]
    found = played(arrivals, times, loop=loop)
    return [index for index, query in enumerate(found) if query.latency > 10 * MS]


def test_a_stall_shows_in_every_query_that_came_meanwhile():
    # Each behind it waits 9 ms less than the one before: 1000 - 9 × 109 is the last over 10 ms.
    assert late(queries.open_loop) == list(range(20, 20 + 110))
    assert late(from_the_start) == [20]  # coordinated omission: the check sees it


class Stepping:
    """A time module whose sleep overruns by a tenth; to read its clock takes a microsecond."""

    def __init__(self):
        self.now, self.slept = 0, 0.0

    def perf_counter_ns(self):
        self.now += 1000
        return self.now

    def sleep(self, seconds):
        assert seconds > 0
        self.slept += seconds
        self.now += round(seconds * 1.1e9)


def test_the_wall_clock_sleeps_and_then_looks(monkeypatch):
    fake = Stepping()
    monkeypatch.setattr(queries, "time", fake)
    clock = queries.WallClock()
    clock.wait_until(5 * MS)
    assert 5 * MS <= fake.now < 5 * MS + 10_000
    assert fake.slept == pytest.approx(4e-3, rel=0.01)
    before = fake.now
    clock.wait_until(0)
    assert fake.now == before + 1000  # looked once


def play(name, times, **job):
    clock = FakeClock(12345)
    job = {"scenario": name, "batch": 1, "queries": 20, "seed": 0, "round": 0, "rate": None, **job}
    return scenarios.play(server(clock, times), clock, job)


def test_the_first_queries_count_for_nothing():
    found = play("single-stream", [999] * scenarios.WARM_UP + [5] * 20)
    assert found["queries"]["scheduled_ns"] == [5 * index for index in range(20)]
    assert found["queries"]["ended_ns"] == [5 * (index + 1) for index in range(20)]
    assert found["offered_per_s"] is found["alone_ns"] is None


@pytest.mark.parametrize(("batch", "passes"), [(1, 20), (8, 3), (32, 3)])
def test_offline_goes_over_all_images(batch, passes):
    found = play("offline", [7] * 30, batch=batch)
    assert found["queries"]["scheduled_ns"] == [0] * passes
    assert found["queries"]["ended_ns"] == [7 * (index + 1) for index in range(passes)]


def test_a_server_is_offered_the_share_of_what_it_did_alone():
    times = [MS] * scenarios.WARM_UP + [4 * MS] * scenarios.CAPACITY + [4 * MS] * 20
    half, more = (play("server", times, load=load) for load in (0.5, 0.75))
    assert half["alone_ns"] == [4 * MS] * scenarios.CAPACITY
    assert (half["offered_per_s"], more["offered_per_s"]) == pytest.approx((125, 187.5))
    # The same arrivals, closer together.
    scheduled = (np.array(one["queries"]["scheduled_ns"]) for one in (half, more))
    assert np.allclose(next(scheduled) / 1.5, next(scheduled), atol=2)
    other = play("server", times, load=0.5, round=1)
    assert other["queries"]["scheduled_ns"] != half["queries"]["scheduled_ns"]


@pytest.mark.parametrize("service", [MS, 4 * MS])
def test_a_rate_is_offered_whatever_the_server_can_do(service):
    times = [service] * (scenarios.WARM_UP + scenarios.CAPACITY + 20)
    found = play("server", times, load=None, rate=125.0)
    assert found["offered_per_s"] == 125
    half = play("server", [4 * MS] * 100, load=0.5)  # of 250: the same arrivals
    assert found["queries"]["scheduled_ns"] == half["queries"]["scheduled_ns"]


GOOD = {"max_abs": 1e-6, "relative_l2": 1e-6, "error": None}
FAILED = "parity: relative L2 1.0e-01 from the reference is over 1e-04"


def process(turn, name, service=10 * MS, count=100, **more):
    clock = FakeClock()
    job = {"scenario": name, "batch": 1, "queries": count, "seed": 0, "round": turn, "rate": None}
    job |= more
    found = scenarios.play(server(clock, [service] * 1000), clock, job)
    return {"round": turn, "parity": GOOD, **found, "memory": {"max_rss_bytes": 1}}


def row(name, implementation="pytorch_impl", batch=1, load=None, rounds=3, **more):
    cell = vars(Cell("resnet18", batch, implementation, 64, 2))
    made = [process(turn, name, batch=batch, load=load, **more) for turn in range(rounds)]
    labels = {"scenario": name, "load": load, "rate": more.get("rate"), **cell}
    return {**labels, "error": None, "processes": made}


OPTIONS = latency.Options(
    model="resnet18",
    scenarios=tuple(scenarios.SCENARIOS),
    implementations=("pytorch_impl",),
    modes=("eager",),
    batches=(1, 8),
    loads=(0.5,),
    rates=(),
    queries=100,
    rounds=3,
    size=64,
    threads=2,
    seed=0,
    device="cpu",
)


def make():
    """Every scenario in torch, a second batch offline, and a row of Paddle that failed."""
    failed = {**row("server", "paddle_impl", load=0.5), "error": FAILED}
    failed["processes"] = [
        {**failed["processes"][0], "parity": {**GOOD, "error": FAILED}, "queries": None}
    ]
    found = [
        row("single-stream"),
        row("multi-stream", batch=8),
        row("offline", batch=1),
        row("offline", batch=8, service=20 * MS),
        row("server", load=0.5),
        failed,
    ]
    return json.loads(
        json.dumps(
            {
                "schema": 1,
                "kind": "latency",
                "context": small_record()["context"],
                "settings": dataclasses.asdict(OPTIONS),
                "rows": found,
            }
        )
    )


def test_rows_have_their_scenario_s_figure():
    made = make()
    kinds.check(made, "made")
    single, multi, one, eight, served, failed = latency_rows.rows(made)
    assert figure(single) == "p90 10.0 ms"
    assert (figure(multi), multi["queries"]) == ("p99 10.0 ms", 300)
    assert single["images_per_s"] == pytest.approx(100)
    assert multi["images_per_s"] == pytest.approx(800)
    assert (figure(one), figure(eight)) == ("100.0 images/s", "400.0 images/s")
    assert (one["notes"], eight["notes"]) == ([], ["best batch"])
    assert "p90_ms" not in eight
    assert served["offered_per_s"] == pytest.approx(50)
    assert served["expected_wait_ms"] == pytest.approx(5)  # M/D/1 at one half
    assert served["p50_ms"] >= 10
    assert served["p99_ms"] == pytest.approx(float(np.percentile(pooled(made, 4), 99)) / 1e6)
    assert failed["error"] == FAILED
    assert "p50_ms" not in failed


def pooled(made, index):
    asked = [process["queries"] for process in made["rows"][index]["processes"]]
    return np.concatenate([np.subtract(one["ended_ns"], one["scheduled_ns"]) for one in asked])


def test_percentiles_are_withheld_until_there_are_queries_enough():
    made = make()
    made["rows"] = [row("server", load=0.5, rounds=2), row("single-stream", rounds=1, count=29)]
    served, single = latency_rows.rows(made)
    assert served["queries"] == 200 < stats.needed(99)
    assert served["p99_ms"] is None
    assert figure(served) == "p99 withheld: 200 of 300 queries"
    assert figure(single) == "p90 withheld: 29 of 30 queries"


def test_a_server_that_is_always_busy_is_called_saturated():
    made = make()
    made["rows"] = [row("server", load=3.0)]
    (found,) = latency_rows.rows(made)
    assert found["notes"] == ["saturated: busy 100% of the time"]
    assert found["expected_wait_ms"] is None


def fail_parity(process):
    process["parity"]["error"] = FAILED


def shift(made, key, index, by):
    made["rows"][4]["processes"][0]["queries"][key][index] += by


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r["rows"][0].update(processes=[]), "rows[0]: no error, and no processes"),
        (lambda r: r["rows"][0]["processes"][0].update(queries=None), "parity without queries"),
        (lambda r: fail_parity(r["rows"][4]["processes"][0]), "queries without parity"),
        (lambda r: shift(r, "scheduled_ns", 50, 10**12), "scheduled before the one ahead"),
        (lambda r: shift(r, "scheduled_ns", 99, 10**12), "begun before it came"),
        (lambda r: shift(r, "ended_ns", 99, -20 * MS), "ended before it began"),
        (lambda r: shift(r, "ended_ns", 5, 10**12), "served at once"),
        (lambda r: r["rows"][4]["processes"][0]["queries"]["ended_ns"].pop(), "lacks a moment"),
        (lambda r: r["rows"][0].update(scenario="burst"), "'burst'"),
        (lambda r: r["rows"][4].update(load=0), "exclusiveMinimum"),
        (lambda r: r["rows"][4].update(rate=0), "exclusiveMinimum"),
        (lambda r: r["rows"][4].pop("rate"), "rate"),
        (lambda r: r["settings"].pop("loads"), "loads"),
        (lambda r: r["rows"][0]["processes"][0].pop("memory"), "memory"),
    ],
)  # fmt: skip
def test_a_record_that_can_not_be_is_refused(change, said):
    made = copy.deepcopy(make())
    change(made)
    with pytest.raises(record.RecordError) as raised:
        kinds.check(made, "made")
    assert said in str(raised.value)


def test_the_tables_say_all_of_it(tmp_path, capsys):
    made = make()
    kinds.write(tmp_path / "run.json", made)
    assert main(["show", str(tmp_path / "run.json")]) == 0
    text = capsys.readouterr().out
    for said in ("p90 10.0 ms", "400.0 images/s", "best batch", f"FAILED {FAILED}", "50%"):
        assert said in text
    assert "from the moment for which a query was scheduled" in text
    assert kinds.render(made, "github").startswith("| scenario")
    lines = list(csv.DictReader(io.StringIO(kinds.render(made, "csv"))))
    assert [line["scenario"] for line in lines] == [entry["scenario"] for entry in made["rows"]]
    assert json.loads(kinds.render(made, "json"))["rows"][0]["p50_ms"] == 10
    made["rows"] = made["rows"][:1]
    made["settings"]["scenarios"] = ["single-stream"]
    assert "offered" not in kinds.render(made, "simple")
    assert "Poisson" not in kinds.render(made, "simple")


REFERENCE = np.random.default_rng(0).standard_normal((1, 10))


@pytest.mark.parametrize("wrong", [False, True])
def test_no_query_is_counted_before_parity(monkeypatch, wrong):
    """And every query ends when the device is done, not when its work was handed over."""
    calls = []
    output = REFERENCE.astype(np.float32) * np.float32(1.01 if wrong else 1)
    monkeypatch.setattr(worker, "load_array", lambda *_: REFERENCE)
    monkeypatch.setattr(device_cpu, "synchronise", lambda: calls.append("synchronise"))
    clock = FakeClock()

    def forward():
        calls.append("forward")
        clock.time += MS
        return output

    job = {"scenario": "single-stream", "batch": 1, "precision": "fp32", "queries": 4}
    job |= {"reference": "", "seed": 0, "round": 0}
    found = latency_worker.answer(lambda: forward, lambda y: y, device_cpu, job, clock)
    assert (found["queries"] is None) is wrong
    assert bool(found["parity"]["error"]) is wrong
    counted = 0 if wrong else scenarios.WARM_UP + 4
    again = [] if wrong else ["forward"]  # compared once more
    assert calls == ["forward"] + ["forward", "synchronise"] * counted + again


def test_rows_stand_beside_what_they_are_compared_with():
    ours = ("pytorch_impl", "paddle_impl")
    options = dataclasses.replace(
        OPTIONS, scenarios=("offline", "server"), implementations=ours, loads=(0.5, 0.9)
    )
    found = [
        (one.scenario, one.cell.batch, one.load, one.cell.implementation)
        for one in latency.cases(options)
    ]
    offline, served = [("offline", 1, None), ("offline", 8, None)], ("server", 1)
    wanted = [*offline, (*served, 0.5), (*served, 0.9)]
    assert found == [(*what, name) for what in wanted for name in ours]


def test_a_rate_is_a_row_of_its_own_and_takes_the_place_of_the_usual_loads(monkeypatch, tmp_path):
    options = dataclasses.replace(
        OPTIONS, scenarios=("server", "single-stream"), rates=(10.0, 20.0)
    )
    offers = [(one.scenario, one.load, one.rate) for one in latency.cases(options)]
    served = [("server", 0.5, None), ("server", None, 10.0), ("server", None, 20.0)]
    assert offers == [*served, ("single-stream", None, None)]
    asked = []

    def measure(options, *_):
        asked.append((options.loads, options.rates))
        raise RunError("no")

    monkeypatch.setattr(latency, "measure", measure)
    for arguments in ([], ["--rate", "5"], ["--rate", "5", "--load", "0.2"]):
        assert main([*SMALL, *arguments, "--json", str(tmp_path / "x.json")]) == 2
    assert asked == [((0.5, 0.7, 0.9), ()), ((), (5.0,)), ((0.2,), (5.0,))]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["resnet18", "--scenario", "burst"], "unknown 'burst'"),
        (["resnet18", "--load", "0.5,0"], "'0' must be above 0"),
        (["resnet18", "--load", "half"], "'half' must be a number"),
        (["resnet18", "--rate", "-1"], "'-1' must be above 0"),
        (["resnet18", "--rate", "inf"], "'inf' must be a number"),
        (["resnet18", "--queries", "1"], "must be a whole number, at least 2"),
        (["resnet18", "--implementations", "openvino"], "unknown 'openvino'"),
        (["resnet18", "--modes", "engine"], "has such a mode"),
        (["resnet99"], "invalid choice"),
        ([], "MODEL"),
    ],
)
def test_wrong_usage_is_status_2(arguments, said, capsys):
    assert status(main, ["latency", *arguments]) == 2
    assert said in capsys.readouterr().err


SMALL = ["latency", "resnet18", "--size", "64", "--rounds", "1", "--device", "cpu"]


def test_a_process_that_dies_ends_its_row_alone(monkeypatch, tmp_path, capsys):
    asked = []

    def start(framework, task, threads, **job):
        asked.append((framework, job.get("round")))
        if framework == "torch" and job["round"] == 1:
            raise WorkerError("exit status -9\nkilled")
        found = process(job["round"], job["scenario"])
        del found["round"]
        return found

    said = {"versions": {}, "build": [], "switches": {}, "gpu": None}
    monkeypatch.setattr(frameworks, "start", start)
    monkeypatch.setattr(frameworks, "describe", lambda names, _: (dict.fromkeys(names, said), {}))
    files = latency.Files("weights", "inputs", "reference")
    monkeypatch.setattr(latency, "_prepare", lambda _, batches, *__: dict.fromkeys(batches, files))
    file = tmp_path / "run.json"
    arguments = [*SMALL, "--scenario", "single-stream", "--rounds", "3", "--json", str(file)]
    assert main(arguments) == 1
    assert asked == [
        *(("torch", 0), ("paddle", 0)),
        *(("paddle", 1), ("torch", 1)),
        ("paddle", 2),
    ]
    torch, paddle = latency_rows.rows(kinds.read(file))
    assert torch["error"].endswith("killed")
    assert (paddle["error"], paddle["processes"]) == (None, 3)
    assert "FAILED killed" in capsys.readouterr().out


@pytest.mark.numerical
def test_real_processes_of_both_frameworks_answer_queries(tmp_path, capsys):
    file = tmp_path / "run.json"
    arguments = ["--scenario", "server", "--load", "0.6", "--queries", "40", "--json", str(file)]
    assert main([*SMALL, *arguments]) == 0
    found = latency_rows.rows(kinds.read(file))
    assert [row["implementation"] for row in found] == ["pytorch_impl", "paddle_impl"]
    for row in found:
        assert (row["error"], row["queries"]) == (None, 40)
        assert row["p99_ms"] is None
        assert row["p50_ms"] > 0
    errors: list[float] = []
    for entry in kinds.read(file)["rows"]:
        (process,) = entry["processes"]
        errors.append(process["parity"]["relative_l2"])
        assert process["offered_per_s"] == pytest.approx(0.6e9 / np.mean(process["alone_ns"]))
    assert min(errors) > 0
    assert spread(errors) <= 1
    assert "p99 withheld: 40 of 300 queries" in capsys.readouterr().out
