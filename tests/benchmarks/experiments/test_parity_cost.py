"""What a parity run costs: the record, its ratio and table, and that a failure shows."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weight_port
from benchmarks import kinds
from benchmarks.__main__ import main
from benchmarks.experiments.parity_cost import measure as parity_cost
from benchmarks.experiments.parity_cost import rows as parity_cost_rows
from benchmarks.records import record
from parity import images
from parity.run.inputs import COUNT

CONTEXT = {
    "date": "2026-01-01T00:00:00+00:00",
    "commit": None,
    "system": {"cpu": "a CPU", "cores": 2},
    "frameworks": {"torch": {"versions": {"torch": "2"}}, "paddle": {"versions": {"paddle": "3"}}},
    "environment": {},
}


def made(whole: float = 6.0, torch: float = 2.0, paddle: float = 3.0, n: int = 5) -> dict[str, Any]:
    """A record whose commands took so many seconds."""
    seconds = {
        parity_cost_rows.PARITY: whole,
        parity_cost_rows.TORCH: torch,
        parity_cost_rows.PADDLE: paddle,
    }
    options = parity_cost.Options("resnet50", "resnet152", 224, n, 0)
    return {
        "schema": record.version("parity_cost"),
        "kind": "parity-cost",
        "context": CONTEXT,
        "settings": {**vars(options), "batch": 4, "precisions": ["float64"], "factor": 1.25},
        "commands": [
            {"name": name, "error": None, "wall_ns": [int(t * 1e9) + i for i in range(n)]}
            for name, t in seconds.items()
        ],
        "memory": {"model": "resnet152", "peak_bytes": 90_000_000, "looks": 99, "error": None},
    }


def test_the_ratio_is_of_the_whole_to_the_sum() -> None:
    found = parity_cost_rows.ratio(made())
    assert found is not None
    assert found.value == pytest.approx(6 / 5)
    assert found.low <= found.value <= found.high
    assert parity_cost_rows.ratio(made(n=4)) is None
    failed = made()
    failed["commands"][1]["error"] = "no"
    assert parity_cost_rows.ratio(failed) is None


@pytest.mark.parametrize(("whole", "reached"), [(6.0, "yes"), (7.0, "no")])
def test_the_table_says_whether_it_was_reached(whole: float, reached: str) -> None:
    text = kinds.render(made(whole), "simple")
    line = next(line for line in text.splitlines() if "at most 1.25 ×" in line)
    assert line.rstrip().endswith(reached)
    assert f"{whole / 5:.2f} ×" in line
    assert "90 MB" in text
    assert "resnet50, batch 4, 224 px, float64; 5 processes per command." in text
    costs = json.loads(kinds.render(made(whole), "json"))["costs"]
    assert [row["reached"] for row in costs] == [None, None, None, reached, "yes"]
    assert costs[3]["ratio"] == pytest.approx(whole / 5)


def test_a_failure_stands_in_place_of_a_figure() -> None:
    failed = made()
    failed["commands"][2] |= {"error": "Traceback\nMemoryError: none left", "wall_ns": []}
    failed["memory"] |= {"error": "it died", "peak_bytes": None}
    text = kinds.render(failed, "github")
    assert "FAILED MemoryError: none left" in text
    assert "FAILED it died" in text
    assert "at most" not in text
    kinds.check(failed, "here")


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r["commands"][0].update(wall_ns=[]),
        lambda r: r["commands"][0].update(wall_ns=[0]),
        lambda r: r.pop("memory"),
        lambda r: r["settings"].update(batch="4"),
    ],
)
def test_an_unsound_record_is_refused(change) -> None:
    good = made()
    kinds.check(good, "here")
    bad = copy.deepcopy(good)
    change(bad)
    with pytest.raises(record.RecordError, match="no benchmark record"):
        kinds.check(bad, "here")


def test_a_run(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rounds, the record and its table, on commands that take no time."""
    quick = [sys.executable, "-c", "import time; time.sleep(0.1)"]
    names = (parity_cost_rows.PARITY, parity_cost_rows.TORCH, parity_cost_rows.PADDLE)
    monkeypatch.setattr(parity_cost, "_commands", lambda *_: dict.fromkeys(names, quick))
    monkeypatch.setattr(parity_cost.frameworks, "describe", lambda *_: (CONTEXT["frameworks"], {}))
    file = tmp_path / "cost.json"
    assert main(["parity", "--json", str(file)]) == 0, capsys.readouterr().err
    found = kinds.read(file)
    assert [row["error"] for row in found["commands"]] == [None] * 3
    assert all(len(row["wall_ns"]) == 5 for row in found["commands"])
    assert min(found["commands"][0]["wall_ns"]) > 1e8
    assert found["memory"]["peak_bytes"] > 1_000_000
    assert "/ both alone" in capsys.readouterr().out
    assert main(["show", str(file)]) == 0
    assert parity_cost_rows.PARITY in capsys.readouterr().out
    # One that fails has its error in the record, and the command its exit status.
    failing = {**dict.fromkeys(names, quick), names[1]: [sys.executable, "-c", "1/0"]}
    monkeypatch.setattr(parity_cost, "_commands", lambda *_: failing)
    assert main(["parity", "--rounds", "1", "--json", str(file), "--force"]) == 1
    assert "FAILED ZeroDivisionError" in capsys.readouterr().out


def test_the_bare_scripts_and_the_parity_run_are_given_the_same(tmp_path: Path) -> None:
    options = parity_cost.Options("resnet20", "resnet20", 32, 1, 3)
    commands = parity_cost._commands("resnet20", options, tmp_path / "made")
    for name in (parity_cost_rows.TORCH, parity_cost_rows.PADDLE):
        subprocess.run(commands[name], check=True)
    words = commands[parity_cost_rows.PARITY]
    given = weight_port.read(tmp_path / "made" / "inputs.safetensors")["images"]
    assert np.array_equal(given, images.synthetic(COUNT, 3, 32, 3))
    assert words[words.index("--seed") + 1] == "3"
    assert str(tmp_path / "made" / "resnet20.pdparams") in words
