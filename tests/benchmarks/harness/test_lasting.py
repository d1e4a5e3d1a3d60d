"""A record that grows: what ends a run costs the step under way, and the run goes on from there."""

from __future__ import annotations

import copy
import dataclasses
import json
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from benchmarks import kinds
from benchmarks.__main__ import main
from benchmarks.experiments.forward import measure as forward
from benchmarks.experiments.latency import measure as latency
from benchmarks.experiments.layers import measure as layers
from benchmarks.experiments.parity_cost import measure as parity_cost
from benchmarks.experiments.port import measure as port
from benchmarks.experiments.throughput import measure as throughput
from benchmarks.experiments.train import measure as train
from benchmarks.harness import frameworks, lasting
from benchmarks.harness.lasting import Lasting, Step
from benchmarks.records import marks
from benchmarks.records.record import RecordError
from tests import ROOT
from tests.helpers.benchmark_records import small_record
from tests.helpers.exit_status import status

GRID = [
    *("--models", "resnet18", "--batch", "1", "--size", "64", "--rounds", "2"),
    *("--implementations", "pytorch_impl,torchvision", "--device", "cpu"),
]
STEPS = 6  # two rounds of the machine's peaks and two rows


def shape(value):
    """A document with its values' types in place of them."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in sorted(value.items()) if key != marks.RESUMED}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return type(value).__name__


def killed(at, file, *more):
    """The exit status of a run that is killed in its process ``at``, and what it said."""
    command = [sys.executable, "-m", "tests.helpers.killed_run", str(at), *GRID]
    command += ["--json", str(file), *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_killed_in_every_step_a_run_loses_that_step_alone(tmp_path):
    """SIGKILL in the first step left, again and again: the record grows by one step each time."""
    file, whole = tmp_path / "run.json", tmp_path / "whole.json"
    assert killed(1, file)[0] == -9
    assert not file.exists()  # there was nothing to keep
    for done in range(1, STEPS):
        assert killed(2, file, "--resume")[0] == -9
        record = kinds.read(file)
        assert record[marks.INCOMPLETE] == {"done": done, "of": STEPS}
        processes = [cell["processes"] for cell in record["cells"]]
        assert len(record["peaks"]) + sum(map(len, processes)) == done
        assert f"NOT COMPLETE: {done} of {STEPS}" in kinds.render(record, "simple")
    code, said = killed(0, file, "--resume")
    assert code == 0, said
    assert f"[{STEPS}/{STEPS}] " in said
    assert killed(0, whole)[0] == 0
    resumed, once = kinds.read(file), kinds.read(whole)
    assert shape(resumed) == shape(once)
    assert [part["done"] for part in resumed[marks.RESUMED]] == list(range(1, STEPS))
    assert marks.INCOMPLETE not in resumed
    for cell in resumed["cells"]:
        assert [process["round"] for process in cell["processes"]] == [0, 1]


# -- every experiment that measures cells


def fake_process(row, turn, *_, **__):
    row.processes.append({"round": turn, "wall_ns": 10 + turn, "ranks": []})
    return "well"


def fake_memory(source, path, place, entries):
    entries.append({"source": source, "destination": "x", "error": None})
    return "little"


TRAIN = train.Options("resnet20", 8, 1, 1, 2, 0, Path("data"), 1, None, 2)
# An experiment: what measures, the key of its rows, steps, and what is put in place of its parts.
EXPERIMENTS = {
    "latency": (
        latency,
        partial(
            latency.measure,
            latency.Options(
                "resnet18", ("offline",), ("pytorch_impl", "paddle_impl"), ("eager",), (1, 2), (),
                (), 2, 2, 64, 1, 0, "cpu",
            ),
        ),
        8,
        {"_process": fake_process, "_prepare": lambda *_: {}},
    ),
    "layers": (
        layers,
        partial(layers.measure, layers.Options("resnet18", 1, 64, 1, "cpu", 2, 0)),
        4,
        {"_process": fake_process, "_prepare": lambda *_: {}},
    ),
    "throughput": (
        throughput,
        partial(throughput.measure, throughput.Options("resnet18", 2, 1, 1, 2, 64, 0, "cpu")),
        8,
        {"_process": fake_process, "_prepare": lambda *_: throughput.Files("a", "b", "c")},
    ),
    "train": (
        train,
        partial(train.measure, TRAIN),
        4 * len(train.MODES),
        {
            "_process": fake_process,
            "_accuracy": lambda row, options, threads, seed: {"seed": seed, "test_accuracy": 0.5},
        },
    ),
    "port": (
        port,
        partial(port.measure, port.Options("resnet18", 2, 0), Path("build")),
        2 * len(port.COMMANDS) + 2,
        {
            "_process": fake_process,
            "_memory": fake_memory,
            "_warm_up": lambda *_: None,
            "_prepare": lambda options, folder, say: (
                port.Place(folder, {"source": __file__}, {}),
                {"pth": folder, "npz": folder},
            ),
        },
    ),
    "parity": (
        parity_cost,
        partial(
            parity_cost.measure,
            parity_cost.Options("resnet18", "resnet18", 64, 2, 0),
            Path("build"),
        ),
        7,
        {
            "_process": fake_process,
            "_commands": lambda *_: {},
            "_warm_up": lambda *_: None,
            "_memory": lambda *_: {"error": None, "peak_bytes": 1, "looks": 9, "model": "x"},
        },
    ),
}  # fmt: skip


def interrupted_after(count):
    """A ``say`` that interrupts the run once ``count`` steps have been said to be done."""
    lines = []

    def say(text):
        lines.append(text)
        if sum(line.startswith("[") for line in lines) == count:
            raise KeyboardInterrupt

    return say


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_run_that_goes_on_gives_the_record_of_one_that_was_not_interrupted(
    name, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    module, measure, count, parts = EXPERIMENTS[name]
    for part, fake in parts.items():
        monkeypatch.setattr(module, part, fake)
    monkeypatch.setattr(frameworks, "describe", lambda *_: ({}, {}))
    file = tmp_path / "run.json"
    whole = measure(lambda _: None, Lasting())
    for done in range(1, count):
        previous = json.loads(file.read_text()) if file.exists() else None
        with pytest.raises(KeyboardInterrupt):
            measure(interrupted_after(1), Lasting(file, previous=previous))
        assert json.loads(file.read_text())[marks.INCOMPLETE] == {"done": done, "of": count}
    resumed = measure(lambda _: None, Lasting(file, previous=json.loads(file.read_text())))
    assert marks.INCOMPLETE not in resumed
    free = ("context", marks.RESUMED)
    assert {k: v for k, v in resumed.items() if k not in free} == json.loads(
        json.dumps({k: v for k, v in whole.items() if k not in free})
    )


# -- what is refused


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r["settings"].update(seed=7), "settings.seed: 7, now 0"),
        (lambda r: r["settings"].update(rounds=5), "settings.rounds: 5, now 2"),
        (lambda r: r["cells"].pop(), "cells: 3 of them, now 4 of them"),
        (lambda r: r["cells"][0].update(batch=8), "cells[0].batch: 8, now 1"),
        (lambda r: r["context"]["system"].update(cpu="B"), 'system.cpu: "B", now "A CPU"'),
        (lambda r: r["context"].update(gpu="H"), 'context.gpu: "H", now null'),
        (lambda r: r["context"]["frameworks"]["torch"]["versions"].update(torch="1"), '"1", now'),
        (lambda r: r["context"].update(rooms={"forward": "x"}), 'context.rooms: "x", now null'),
        (lambda r: r["context"]["environment"].update(X="1"), "context.environment.X"),
        (lambda r: r.update(kind="layers"), "kind: layers, now forward"),
    ],
)
def test_a_record_of_another_run_is_refused_with_what_differs(change, said):
    fresh = small_record()
    previous = copy.deepcopy(fresh)
    change(previous)
    with pytest.raises(RecordError, match="can't go on from it") as caught:
        Lasting(Path("x"), previous=previous).begin([], fresh, [], "cells")
    assert said in str(caught.value)


def test_what_may_differ_between_two_halves_does_not_matter():
    fresh = small_record()
    previous = copy.deepcopy(fresh)
    previous["context"].update(date="2020-01-01", commit=None)
    previous["context"]["system"]["load"] = [9.0, 9.0, 9.0]
    previous["settings"]["wall_ns"] = 5
    previous["cells"][0].update(processes=[], error=marks.PENDING)
    assert not lasting.differences(previous, fresh, "cells")


def test_another_number_of_steps_is_another_run():
    made = {**small_record(), marks.INCOMPLETE: {"done": 1, "of": 9}}
    with pytest.raises(RecordError, match="steps: 9, now 0"):
        Lasting(Path("x"), previous=made).begin([], small_record(), [], "cells")


@pytest.mark.parametrize(
    "value",
    [{"done": 3, "of": 3}, {"done": -1, "of": 3}, {"done": 1}, {"done": True, "of": 3}, [1, 2], 3],
)
def test_a_record_can_not_be_incomplete_so(value):
    with pytest.raises(RecordError, match=r"record\.incomplete"):
        kinds.check({**small_record(), marks.INCOMPLETE: value}, "x.json")


@pytest.mark.parametrize("value", [{}, [1], [{"date": 1, "done": 1}], [{"date": "x"}]])
def test_a_record_can_not_have_gone_on_so(value):
    with pytest.raises(RecordError, match=r"record\.resumed"):
        kinds.check({**small_record(), marks.RESUMED: value}, "x.json")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--resume"], "name it with --json FILE"),
        (["--resume", "--force", "--json", "x.json"], "not allowed with argument"),
        (["--max-minutes", "0"], "must be above 0"),
        (["--resume", "--json", "bad.json"], "bad.json: no JSON"),
        (["--json", "x.json", "--torch-python", "no/python"], "no/python: can't be run"),
    ],
)
def test_wrong_usage_is_status_2(arguments, said, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(frameworks, "PYTHONS", {})
    Path("bad.json").write_text("{")
    assert status(main, [*GRID, *arguments]) == 2
    assert said in capsys.readouterr().err


# -- time


def steps(count, took=0.0):
    return [Step(f"row {index % 2}", partial(_sleep, took), 100.0) for index in range(count)]


def _sleep(seconds):
    time.sleep(seconds)
    return "done"


def test_when_the_time_is_over_what_there_is_is_kept_and_the_next_call_goes_on(tmp_path):
    file, lines = tmp_path / "run.json", []
    first = Lasting(file, max_seconds=0.001)
    first.steps = steps(3)
    record = first.run(dict, lines.append)
    assert record[marks.INCOMPLETE] == {"done": 1, "of": 3}  # one at least, or it never ends
    assert lines[-1].startswith("the time is over; ")
    assert "1 of 3 steps are kept; --resume" in lines[-1]
    assert json.loads(file.read_text()) == record


def test_a_step_that_would_not_end_in_time_is_not_begun():
    lasted = Lasting(max_seconds=0.5)
    lasted.steps = [Step("slow", partial(_sleep, 0.3), 1.0) for _ in range(3)]
    lasted.run(dict, lambda _: None)
    assert lasted.done == 1


def test_what_is_left_is_as_long_as_it_was_the_last_time():
    lines, lasted = [], Lasting()
    lasted.steps = steps(4, 0.01)
    lasted.run(dict, lines.append)
    # Expected were 100 s each, and the first took a moment: so will those that nobody has seen.
    assert [line.rpartition("; ")[2] for line in lines] == [
        f"[{n}/4] row {(n - 1) % 2}: done" for n in range(1, 5)
    ]
    assert lasting._Clock().left(steps(4)) == 400


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.4, "4 s"), (98, "98 s"), (100, "2 min"), (7500, "2 h 5 min")]
)
def test_seconds_in_words(seconds, text):
    assert lasting.duration(seconds) == text


def test_a_long_step_is_never_silent(monkeypatch):
    monkeypatch.setattr(lasting, "SILENCE", 0.05)
    lines = []
    with lasting.heartbeat(lines.append, "[3/9] a row"):
        time.sleep(0.3)
    assert len(lines) >= 2
    assert lines[0] == "[3/9] a row: running, 0 s"
    count = len(lines)
    time.sleep(0.1)
    assert len(lines) == count  # it ends with the step
    assert lasting.SILENCE < 5
    assert "beat" not in {thread.name for thread in threading.enumerate()}


def test_a_dry_run_lists_the_rows_and_starts_nothing(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(frameworks, "start", None)
    assert main([*GRID, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "resnet18 batch 1 torchvision: 2 × about 10 s" in shown
    assert "2 rows, 4 processes: about " in shown
    assert not list(tmp_path.iterdir())


def test_an_expensive_mode_is_expected_to_take_longer():
    cells = [dataclasses.replace(cell) for cell in _cells()]
    plain, compiled = (forward.expected(cell, forward.Plan(), "gpu") for cell in cells)
    assert compiled > plain


def _cells():
    from benchmarks.grid import cells

    return cells.grid(["resnet50"], [8], ["pytorch_impl"], None, [1], ["eager", "compile"])
