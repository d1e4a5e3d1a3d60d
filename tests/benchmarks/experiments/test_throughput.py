"""Several processes at once: what is counted, what a record must hold, and a real run of two."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import kinds
from benchmarks.__main__ import main
from benchmarks.experiments.throughput import measure as throughput
from benchmarks.experiments.throughput import rows as throughput_rows
from benchmarks.harness import frameworks
from benchmarks.harness.inputs import Files
from benchmarks.records import record
from parity.workers.launch import WorkerError
from tests.helpers.bounds import spread
from tests.helpers.exit_status import status
from tests.helpers.experiment_records import GOOD, rank, throughput_record


def test_all_images_are_counted_over_all_of_the_time():
    ranks = [rank(0, 1_000_000_000), rank(100_000_000, 1_333_333_333)]
    assert throughput_rows.images_per_second(ranks, 10, 10) == pytest.approx(150)


times = st.tuples(st.integers(0, 10**12), st.integers(1, 10**12))


@given(st.lists(times, min_size=1, max_size=8), st.integers(1, 64), st.integers(1, 50))
def test_several_are_never_faster_than_each_of_them_together(spans, batch, passes):
    ranks = [rank(begin, begin + length) for begin, length in spans]
    each = [throughput_rows.images_per_second([one], batch, passes) for one in ranks]
    assert throughput_rows.images_per_second(ranks, batch, passes) <= sum(each) * (1 + 1e-9)


def test_scaling_is_over_as_many_single_processes():
    made = throughput_record()
    kinds.check(made, "made")
    found = throughput_rows.rows(made)
    assert [row.get("scaling") for row in found] == [None, pytest.approx(0.75), None, None]
    text = kinds.render(made, "simple")
    assert "75%" in text
    assert "FAILED here" in text
    assert json.loads(kinds.render(made, "json"))["rows"][0]["images_per_s"] == 100
    assert len(list(csv.DictReader(io.StringIO(kinds.render(made, "csv"))))) == 4
    assert kinds.render(made, "github").startswith("| framework")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r["rows"][0].update(runs=[]), "rows[0]: no error, and no runs"),
        (lambda r: r["rows"][1]["runs"][0]["ranks"].pop(), "1 ranks of 2 processes"),
        (lambda r: r["rows"][0]["runs"][0]["ranks"][0].update(end_ns=0), "ended before it began"),
        (lambda r: r["settings"].pop("passes"), "passes"),
        (lambda r: r["settings"].update(workers=1), "workers"),
        (lambda r: r["rows"][0]["runs"][0]["ranks"][0].pop("parity"), "parity"),
    ],
)
def test_a_record_that_can_not_be_is_refused(change, said):
    made = throughput_record()
    change(made)
    with pytest.raises(record.RecordError) as raised:
        kinds.check(made, "made")
    assert said in str(raised.value)


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_everything_meets_on_this_machine(device):
    torch = throughput.command("torch", 4, device, Path("job.json"))
    assert {
        "--standalone",
        "127.0.0.1",
        "4",
        "benchmarks.experiments.throughput.ranks_torch",
    } <= set(torch)
    paddle = throughput.command("paddle", 4, device, Path("job.json"))
    assert ("gloo" in paddle) is (device == "cpu")
    assert ("0,1,2,3" in paddle) is (device == "gpu")


ASKED = [
    *("throughput", "--model", "resnet18", "--size", "64", "--batch", "2"),
    *("--passes", "3", "--rounds", "1", "--device", "cpu"),
]


@pytest.mark.numerical
def test_two_real_processes_of_each_framework_start_together(tmp_path, capsys):
    file = tmp_path / "run.json"
    assert main([*ASKED, "--json", str(file)]) == 0
    made = kinds.read(file)
    rows = {(row["framework"], row["workers"]): row for row in made["rows"]}
    assert set(rows) == {("torch", 1), ("torch", 2), ("paddle", 1), ("paddle", 2)}
    errors: list[float] = []
    for (_, workers), row in rows.items():
        (run,) = row["runs"]
        assert len(run["ranks"]) == workers
        # The barrier held: each began before any other ended.
        last = max(one["begin_ns"] for one in run["ranks"])
        assert last < min(one["end_ns"] for one in run["ranks"])
        errors += [one["parity"]["relative_l2"] for one in run["ranks"]]
    assert min(errors) > 0
    assert spread(errors) <= 1
    assert made["settings"]["threads"] == max(1, made["context"]["system"]["cores"] // 2)
    assert capsys.readouterr().out.count("torch") >= 2


def test_a_rank_that_fails_ends_its_row_and_says_why(monkeypatch, tmp_path, capsys):
    """A launcher whose processes find no weights; the real one, in torch alone."""
    monkeypatch.setattr(throughput, "FRAMEWORKS", ("torch",))

    def no_files(options, threads, folder, say):
        return Files(str(folder / "none.pth"), str(folder / "no"), str(folder / "no"))

    monkeypatch.setattr(throughput, "_prepare", no_files)
    monkeypatch.setattr(frameworks, "describe", lambda *_: ({"torch": SAID}, {}))
    assert main([*ASKED, "--json", str(tmp_path / "run.json")]) == 1
    made = kinds.read(tmp_path / "run.json")
    assert all("none.pth" in row["error"] for row in made["rows"])
    assert "FAILED" in capsys.readouterr().out


SAID = {"versions": {}, "build": [], "switches": {}, "gpu": None}


def test_a_rank_whose_output_is_wrong_ends_its_row(monkeypatch):
    wrong = {**GOOD, "error": "parity: relative L2 1.0e-01 from the reference is over 1e-04"}
    monkeypatch.setattr(throughput, "_launch", lambda *_: [rank(0, 1), rank(0, 1, wrong)])
    monkeypatch.setattr(throughput, "FRAMEWORKS", ("torch",))
    monkeypatch.setattr(throughput, "_prepare", lambda *_: Files("", "", ""))
    monkeypatch.setattr(frameworks, "describe", lambda *_: ({"torch": SAID}, {}))
    lines = []
    options = throughput.Options("resnet18", 2, 2, 3, 2, 64, 0, "cpu")
    made = throughput.measure(options, lines.append)
    assert [row["error"] for row in made["rows"]] == [wrong["error"]] * 2
    assert [len(row["runs"]) for row in made["rows"]] == [1, 1]
    assert lines[0] == f"[1/4] torch × 1: {wrong['error']}"


@pytest.mark.parametrize("arguments", [["--workers", "1"], ["--passes", "0"], ["--model", "x"]])
def test_wrong_usage_is_status_2(arguments, capsys):
    assert status(main, ["throughput", *arguments]) == 2
    assert arguments[0] in capsys.readouterr().err


def test_nothing_to_run_in_is_status_2(monkeypatch, capsys, tmp_path):
    def none(*_, **__):
        raise WorkerError("no framework at all")

    monkeypatch.setattr(frameworks, "describe", none)
    assert main([*ASKED, "--json", str(tmp_path / "run.json")]) == 2
    assert "no framework at all" in capsys.readouterr().err
