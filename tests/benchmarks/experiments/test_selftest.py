"""The benchmarks' selftest: its workload, its rates, its bound, and that it can fail."""

from __future__ import annotations

import copy
import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import kinds, stats
from benchmarks.__main__ import main
from benchmarks.experiments.selftest import measure as selftest
from benchmarks.experiments.selftest import rows as selftest_rows
from benchmarks.experiments.selftest import worker as selftest_worker
from benchmarks.records import record, tables


def made(groups, effects=None, noise=0.01, seed=3):
    """A record of processes that differ by ``noise``; ``effects`` replace what a cell adds."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(groups):
        cells = []
        for name, percent in selftest_rows.CELLS.items():
            effect = (effects or {}).get(name, percent)
            times = 4e6 * (1 + effect / 100) * np.exp(noise * random.standard_normal(5))
            processes = [
                {"round": turn, "device_ns": [round(time)] * 3, "stopped": "noise"}
                for turn, time in enumerate(times)
            ]
            cells.append({"name": name, "percent": percent, "processes": processes})
        found.append({"cells": cells})
    settings = {"max_seconds": 9, "rounds": 5, "plan": {}, "size": 48, "repetitions": 1000}
    return {
        "schema": 1,
        "kind": "selftest",
        "context": record.context({}, "cpu", 1, {}),
        "settings": settings,
        "groups": found,
    }


def by_name(found):
    return {row["name"]: row for row in selftest_rows.rates(found)}


def test_sound_statistics_reach_the_targets():
    found = by_name(made(100))
    assert found["same"]["called"] <= 9  # of 100: 5 expected
    assert found["10 %"]["called"] == 100
    assert 0.5 < found["3 %"]["share"] < found["5 %"]["share"] <= 1
    assert [found[name]["ratio"] for name in ("same", "3 %", "10 %")] == pytest.approx(
        [1, 1.03, 1.1], abs=0.005
    )
    assert selftest_rows.missed(made(100)) == []


@pytest.mark.parametrize(
    ("effects", "noise", "missed"),
    [
        ({"same": 4}, 0.01, ["same"]),  # equal cells that are not: false alarms
        ({"same": -4}, 0.01, ["same"]),
        ({"10 %": 0}, 0.01, ["10 %"]),  # a slowdown that was not planted is not found
        ({"10 %": -10}, 0.01, ["10 %"]),  # nor is a speed-up one
        ({}, 0.2, ["10 %"]),  # a machine too noisy for it
    ],
)
def test_the_selftest_can_fail(effects, noise, missed):
    assert selftest_rows.missed(made(40, effects, noise)) == missed


def test_an_interval_that_is_too_narrow_is_a_missed_target(monkeypatch):
    """A mutation of the statistics: the normal's point in place of Student's, and no n - 1."""
    monkeypatch.setattr(stats, "student", lambda _: 1.96 * 0.8**0.5)
    assert selftest_rows.missed(made(200)) == ["same"]


def test_a_target_is_undecided_where_its_interval_spans_it():
    target = selftest_rows.Target(at_most=0.05)
    assert target.reached(0.05, 0.01, 0.2) == "yes"
    assert target.reached(0.06, 0.01, 0.2) == "undecided"
    assert target.reached(0.2, 0.06, 0.4) == "no"
    assert selftest_rows.Target(at_least=0.9).reached(0.8, 0.7, 0.89) == "no"


@pytest.mark.numerical
def test_the_workload_is_a_product_and_a_slowdown_is_more_of_them(monkeypatch):
    asked = []
    answer = {"device_ns": [1], "stopped": "noise"}
    monkeypatch.setattr(
        selftest, "run_worker", lambda _, job, **__: asked.append(job["repetitions"]) or answer
    )
    for name in selftest_rows.CELLS:
        selftest._process(name)
    assert dict(zip(selftest_rows.CELLS, asked, strict=True)) == {
        "plain": 1000,
        "same": 1000,
        "3 %": 1030,
        "5 %": 1050,
        "10 %": 1100,
    }
    calls = []
    multiply = np.matmul
    monkeypatch.setattr(np, "matmul", lambda a, b, out: calls.append((a, b)) or multiply(a, b, out))
    product = selftest_worker.make_step(8, 30)()
    assert len(calls) == 30
    a, b = calls[0]
    # Eight products of positive numbers, summed in any order: Higham (2002), equation 3.13.
    np.testing.assert_allclose(product, a.astype(np.float64) @ b, rtol=8 * np.finfo("f4").eps / 2)


def test_groups_fill_the_time_and_no_more(monkeypatch):
    clock, group = [0.0], made(1)["groups"][0]

    def take(seconds):
        clock[0] += seconds
        return copy.deepcopy(group)

    monkeypatch.setattr(selftest.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(selftest, "_group", lambda: take(7.0))
    assert len(selftest.measure(300, lambda _: None)["groups"]) == 42
    assert len(selftest.measure(1, lambda _: None)["groups"]) == 1


def test_a_real_group_is_measured_written_and_shown(tmp_path, capsys):
    """Real processes; what they are found to be is not asserted, since the machine may be busy."""
    file = tmp_path / "selftest.json"
    status = main(["selftest", "--max-seconds", "1", "--json", str(file), "--format", "github"])
    found = kinds.read(file)
    (group,) = found["groups"]
    assert [cell["name"] for cell in group["cells"]] == list(selftest_rows.CELLS)
    for cell in group["cells"]:
        assert all(len(process["device_ns"]) >= 8 for process in cell["processes"])
        assert all(1e5 < min(process["device_ns"]) < 1e9 for process in cell["processes"])
    assert found["context"]["frameworks"]["numpy"]["versions"]["numpy"] == np.__version__
    said = capsys.readouterr()
    assert "| equal: false alarms |" in said.out
    assert status == (1 if "targets missed" in said.err else 0)


def test_a_missed_target_is_status_1(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    for effects, status in (({}, 0), ({"10 %": 0}, 1)):
        found = made(40, effects)
        monkeypatch.setattr(selftest, "measure", lambda *_, found=found: found)
        assert main(["selftest", "--json", "s.json", "--force"]) == status
    assert "targets missed: 10 %" in capsys.readouterr().err


def no_group(found):
    found["groups"] = []


def no_cell(found):
    found["groups"][0]["cells"].pop()


def twice_a_round(found):
    found["groups"][0]["cells"][2]["processes"][1]["round"] = 0


def four_processes(found):
    found["groups"][0]["cells"][2]["processes"].pop()


def no_cpu(found):
    del found["context"]["system"]["cpu"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_group, r"record\.groups: 0 items, but its minItems should be 1"),
        (no_cell, r"record\.groups\[0\]: its cells are not 3 %, same,"),
        (twice_a_round, r"record\.groups\[0\]: plain has not one process per round"),
        (four_processes, r"cells\[2\]\.processes: 4 items, but its minItems"),
        (no_cpu, r"record\.context\.system: an object with"),  # by the other file's schema
    ],
)
def test_a_spoilt_record_is_refused(spoil, said):
    found = made(1)
    kinds.check(found, "selftest.json")
    spoil(found)
    with pytest.raises(record.RecordError, match=said):
        kinds.check(found, "selftest.json")


@pytest.mark.parametrize("style", list(tables.FORMATS))
def test_show_renders_the_rates_in_every_format(style, tmp_path, capsys):
    file = tmp_path / "s.json"
    kinds.write(file, made(10))
    assert main(["show", str(file), "--format", style]) == 0
    text = capsys.readouterr().out
    if style == "json":
        assert json.loads(text)["rates"][3]["called"] == 10
    elif style == "csv":
        assert list(csv.DictReader(io.StringIO(text)))[3]["share"] == "1.0"
    else:
        (line,) = (line for line in text.splitlines() if "10 % slower: found" in line)
        assert "10 of 10" in line
        assert "at least 90%" in line


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_interval_holds_the_share_and_mirrors(trial):
    called, count = trial
    low, high = stats.wilson(called, count)
    assert 0 <= low <= called / count <= high <= 1
    assert low < high
    assert stats.wilson(count - called, count) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(
    ("called", "count", "low", "high"), [(81, 263, 0.2553, 0.3662), (0, 20, 0.0, 0.1611)]
)
def test_wilsons_interval_against_published_ones(called, count, low, high):
    """Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I."""
    assert stats.wilson(called, count) == pytest.approx((low, high), abs=5e-5)
