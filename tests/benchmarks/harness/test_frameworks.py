"""A side that has an environment of its own, or is not installed, and what that costs the other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.commands import options
from benchmarks.experiments.throughput import measure as throughput
from benchmarks.experiments.train import measure as train
from benchmarks.harness import frameworks
from benchmarks.harness.inputs import Files
from benchmarks.records import marks
from parity import seeded

DESCRIPTION = {"versions": {}, "build": [], "switches": {}, "gpu": None}


@pytest.fixture(autouse=True)
def pythons(monkeypatch):
    """No interpreter is named before a test, nor after it."""
    monkeypatch.setattr(frameworks, "PYTHONS", {})


def test_the_options_name_the_interpreters_and_the_next_command_forgets_them():
    parser = options.argparse.ArgumentParser()
    options.add_pythons(parser)
    options.choose_pythons(parser.parse_args(["--paddle-python", "p/python"]))
    assert frameworks.PYTHONS == {"paddle": "p/python"}
    options.choose_pythons(parser.parse_args(["--torch-python", "t/python"]))
    assert frameworks.PYTHONS == {"torch": "t/python"}
    options.choose_pythons(parser.parse_args([]))
    assert frameworks.PYTHONS == {}


def test_a_framework_s_processes_run_in_its_interpreter(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        frameworks, "run_worker", lambda module, job, **how: asked.append((module, how["python"]))
    )
    monkeypatch.setattr(
        seeded, "run_worker", lambda module, job, **how: asked.append((module, how["python"]))
    )
    frameworks.PYTHONS["paddle"] = "p/python"
    frameworks.start("torch", "describe", 1)
    frameworks.start("paddle", "describe", 1)
    assert asked == [
        ("benchmarks.workers.worker_torch", None),
        ("benchmarks.workers.worker_paddle", "p/python"),
    ]
    command = throughput.command("paddle", 2, "cpu", tmp_path / "job")
    assert command[0] == "p/python"
    assert throughput.command("torch", 2, "cpu", tmp_path / "job")[0] == sys.executable


def test_another_environment_is_asked_what_it_has(monkeypatch, tmp_path):
    monkeypatch.setitem(frameworks.PACKAGES, "torch", ("json",))
    monkeypatch.setitem(frameworks.PACKAGES, "paddle", ("json", "no_such_package"))
    frameworks.PYTHONS.update(torch=sys.executable, paddle=sys.executable)
    assert frameworks.is_installed("torch")
    assert not frameworks.is_installed("paddle")
    frameworks.PYTHONS["torch"] = str(tmp_path / "none")
    with pytest.raises(frameworks.RunError, match=r"--torch-python .*none: can't be run"):
        frameworks.is_installed("torch")


@pytest.mark.parametrize(
    ("asked", "gpus", "able", "failed"),
    [
        ("gpu", {"torch": {}, "paddle": None}, {"torch"}, {"paddle"}),
        ("gpu", {"torch": {}, "paddle": {}}, {"torch", "paddle"}, set()),
        ("gpu", {"torch": None, "paddle": None}, {"torch", "paddle"}, set()),  # refused as a whole
        ("auto", {"torch": {}, "paddle": None}, {"torch", "paddle"}, set()),
        ("cpu", {"torch": {}, "paddle": None}, {"torch", "paddle"}, set()),
        ("gpu", {"engines": None, "torch": {}}, {"torch", "engines"}, set()),
    ],
)
def test_a_side_without_a_gpu_is_no_failure_of_the_other(asked, gpus, able, failed):
    errors, lines = {}, []
    described = {name: {"gpu": gpu} for name, gpu in gpus.items()}
    assert set(frameworks.set_aside(asked, described, errors, lines.append)) == able
    assert set(errors) == failed
    assert len(lines) == len(failed)


def timed(row, turn, *_, **__):
    row.processes.append({"round": turn})
    return "timed"


EXPERIMENTS = {
    "throughput": (throughput, throughput.Options("resnet18", 2, 1, 1, 1, 64, 0, "cpu")),
    "train": (train, train.Options("resnet20", 8, 1, 1, 1, 0, None, 1, None, 1)),
}


@pytest.mark.parametrize("absent", ["torch", "paddle"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_side_that_is_not_installed_is_a_line_and_no_failure_of_the_other(
    name, absent, monkeypatch
):
    module, chosen = EXPERIMENTS[name]
    monkeypatch.setattr(frameworks, "is_installed", lambda framework: framework != absent)
    monkeypatch.setattr(frameworks, "start", lambda *_, **__: DESCRIPTION)
    monkeypatch.setattr(module, "_process", timed)
    monkeypatch.setattr(module, "_prepare", lambda *_: Files("", "", ""), raising=False)
    lines = []
    made = module.measure(chosen, lines.append)
    errors = {row["framework"]: row["error"] for row in made["rows"]}
    assert errors.pop(absent).startswith(f"{marks.ABSENT}: {absent}; pip install")
    assert set(errors.values()) == {None}
    assert all(row["error"] or row.get("processes", row.get("runs")) for row in made["rows"])
    assert sum(line.startswith(marks.ABSENT) for line in lines) == 1


def test_neither_side_is_an_error_with_a_way_out(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(frameworks, "is_installed", lambda _: False)
    for command in (["train"], ["throughput"], ["layers", "resnet18"], ["latency", "resnet18"]):
        assert main([*command, "--json", "x.json"]) == 2
        assert "pip install 'resnet-parity[torch,paddle]'" in capsys.readouterr().err
    assert not Path("x.json").exists()
