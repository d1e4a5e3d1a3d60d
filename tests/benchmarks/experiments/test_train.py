"""Training steps beside a bare loop: the record, its gates and tables, and that failures show."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import kinds
from benchmarks.__main__ import main
from benchmarks.experiments.train import measure as train
from benchmarks.experiments.train import table as train_table
from benchmarks.experiments.train import worker as train_worker
from benchmarks.experiments.train import worker_paddle as train_paddle
from benchmarks.experiments.train import worker_torch as train_torch
from benchmarks.records import record, tables
from parity.workers import launch
from training.loop.side_paddle import PaddleSide
from training.loop.side_torch import TorchSide
from training.settings import DEFAULTS

CONTEXT = {
    "date": "2026-01-01T00:00:00+00:00",
    "commit": None,
    "system": {"cpu": "a CPU", "cores": 2},
    "frameworks": {"torch": {"versions": {"torch": "2"}}, "paddle": {"versions": {"paddle": "3"}}},
    "environment": {},
}


def made(loop: float = 1.0, feed: float = 0.02, spread: float = 0.0, n: int = 5) -> dict[str, Any]:
    """A record in which a bare block takes a second; every mode but the first half of that."""
    rows = [train.Row(mode).as_json() for mode in train.MODES]
    for at, row in enumerate(rows):
        speed = 1 if at in (0, 4) else 0.5
        row["processes"] = [
            {
                kind: [round(1e9 * speed * seconds * (1 + spread * (turn % 2))) + turn]
                for kind, seconds in (("loop", loop), ("bare", 1.0), ("feed", feed))
            }
            for turn in range(n)
        ]
        for process in row["processes"][1::2]:
            process["bare"] = [round(1e9 * speed)]
        row["accuracies"] = [
            {"seed": seed, "test_accuracy": 0.5 + 0.01 * seed + 0.001 * at, "train_loss": 1.0}
            for seed in range(2)
        ]
    settings = {"model": "resnet20", "batch": 128, "steps": 10, "repeats": 1, "rounds": n}
    settings |= {"seed": 0, "epochs": 3, "limit": None, "seeds": 2}
    settings |= {"least_loop": train.LEAST_LOOP, "least_feed": train.LEAST_FEED}
    head = {"schema": record.version("train"), "kind": "train", "context": CONTEXT}
    return {**head, "settings": settings, "rows": rows}


def cells(found: dict[str, Any], table: str) -> list[list[str]]:
    """A table's texts, row by row."""
    (chosen,) = tables.choose(train_table.tables(found), table, "made")
    return [[column.text(row) for column in chosen.columns] for row in chosen.rows]


@pytest.mark.parametrize(
    ("loop", "feed", "spread", "loops", "feeds"),
    [
        (1.0, 0.02, 0.0, "yes", "yes"),
        (1.03, 0.049, 0.0, "yes", "yes"),
        (1.04, 0.051, 0.0, "no", "no"),
        (1.0, 0.05, 0.2, "undecided", "undecided"),
    ],
)
def test_the_gates(loop: float, feed: float, spread: float, loops: str, feeds: str) -> None:
    found = made(loop, feed, spread)
    kinds.check(found, "here")
    first = cells(found, "targets")[0]
    assert (first[4], first[6]) == (loops, feeds)
    if not spread:
        assert first[3].startswith(f"{1 / loop:.3f} ×")
        assert first[1:3] == [f"{1280 / loop:.0f}", "1280"]
    values = json.loads(kinds.render(found, "json"))["targets"][0]
    assert (values["loop_reached"], values["feed_reached"]) == (loops, feeds)
    assert values["loop_over_bare"] == pytest.approx(1 / loop, rel=spread or 1e-6)


def test_a_mode_is_held_against_its_frameworks_first() -> None:
    gains = cells(made(), "gains")
    assert [line[0] for line in gains] == [
        "torch, float32, NCHW",
        "torch, float32, NHWC",
        "torch, bfloat16, NCHW",
        "torch, bfloat16, NHWC",
        "paddle, float32, NCHW",
        "paddle, float32, NCHW, 1 thread",
    ]
    assert [line[1][:6] for line in gains] == ["1", *3 * ["2.00 ×"], "1", "2.00 ×"]
    assert gains[3][2:] == ["50.80 % (50.30 to 51.30)", "+0.30 (+0.30 to +0.30)"]
    assert gains[0][3] == gains[4][3] == "–"
    text = kinds.render(made(), "simple")
    assert "2 seeds, 3 epochs on all images" in text


def test_too_few_processes_give_no_ratio() -> None:
    found = made(n=4)
    assert {line[4] for line in cells(found, "targets")} == {"–"}
    assert "they need 5 processes per row" in kinds.render(found, "github")


def test_a_failure_stands_in_place_of_a_figure() -> None:
    failed = made()
    failed["rows"][0] |= {"error": "Traceback\nMemoryError: none left", "processes": []}
    kinds.check(failed, "here")
    assert cells(failed, "targets")[0][1:] == ["FAILED MemoryError: none left", *5 * [""]]
    assert cells(failed, "gains")[1][1] == "–"  # no first mode to be held against


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["rows"][0]["processes"].pop(),
        lambda found: found["rows"][0]["accuracies"].pop(),
        lambda found: found["rows"][0]["processes"][0].pop("bare"),
        lambda found: found["rows"][0]["processes"][0].update(loop=[0]),
        lambda found: found["rows"][0]["accuracies"][0].update(test_accuracy=1.5),
        lambda found: found.pop("settings"),
    ],
)
def test_an_unsound_record_is_refused(change: Any) -> None:
    found = copy.deepcopy(made())
    change(found)
    with pytest.raises(record.RecordError):
        kinds.check(found, "here")


SETTINGS = {**DEFAULTS, "epochs": 1, "batch": 8, "schedule": "plateau"}
WORKERS = {"torch": (TorchSide, train_torch), "paddle": (PaddleSide, train_paddle)}


def job(framework: str, **how: Any) -> dict[str, Any]:
    whole = {"framework": framework, "settings": SETTINGS, "how": {"threads": 1, **how}}
    return {**whole, "steps": 2, "repeats": 3}


@pytest.mark.parametrize(
    ("framework", "how"),
    [("torch", {}), ("torch", {"precision": "bfloat16", "channels_last": True}), ("paddle", {})],
)
def test_a_process_times_all_three_and_compares_them(framework: str, how: dict[str, Any]) -> None:
    make, module = WORKERS[framework]
    found = train_worker.measure(make, module.bare, job(framework, **how))
    assert {kind: len(times) for kind, times in found.items()} == {
        "loop": 3,
        "bare": 3,
        "feed": 3,
    }
    assert min(min(times) for times in found.values()) > 0


@pytest.mark.parametrize("framework", WORKERS)
def test_a_bare_loop_that_trains_otherwise_is_not_timed(framework: str) -> None:
    make, module = WORKERS[framework]

    def faster(settings: dict[str, Any], *rest: Any) -> Any:
        return module.bare({**settings, "rate": 0.2}, *rest)

    with pytest.raises(RuntimeError, match="the bare loop is another training"):
        train_worker.measure(make, faster, job(framework))


def test_the_command(cifar: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    modes = (("torch", "bfloat16", "NHWC", None), ("paddle", "float32", "NCHW", 1))
    monkeypatch.setattr(train, "MODES", modes)
    run, seen = launch.run_worker, []
    monkeypatch.setattr(
        launch, "run_worker", lambda *job, **how: seen.append(how) or run(*job, **how)
    )
    out = tmp_path / "train.json"
    words = ["--batch", "8", "--steps", "1", "--repeats", "1", "--rounds", "1", "--limit", "16"]
    words += ["--data", str(cifar), "--epochs", "1", "--seeds", "1"]
    assert main(["train", *words, "--json", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "torch, bfloat16, NHWC" in shown
    timed = [how for how in seen if how.get("extra")]
    assert [how["threads"] for how in timed] == [launch.available_threads(), 1]
    assert all(how["extra"]["MALLOC_MMAP_MAX_"] == "0" for how in timed)  # as a training's own
    found = kinds.read(out)
    assert found["context"]["environment"]["MALLOC_MMAP_MAX_"] == "0"
    for row in found["rows"]:
        assert row["error"] is None
        assert len(row["accuracies"]) == 1
    assert main(["show", str(out)]) == 0
    assert "16 images, cosine schedule" in capsys.readouterr().out


def test_no_data_is_wrong_usage(tmp_path: Path, capsys) -> None:
    assert main(["train", "--data", str(tmp_path), "--json", str(tmp_path / "a.json")]) == 2
    assert "make it with python -m training.data" in capsys.readouterr().err
