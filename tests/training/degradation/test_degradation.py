"""Plain networks against ResNets: one command, one picture, a record that can't be half of it."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.readme import __main__ as readme
from parity import records as json_records
from parity.records import RecordError
from training import curves
from training.data import cifar as data
from training.degradation import __main__ as degradation
from training.degradation import record as records
from training.loop import checkpoints, epochs
from training.loop.checkpoints import State
from training.loop.side import How
from training.loop.side_torch import TorchSide
from training.settings import DEFAULTS

TIMES = ("time", "seconds", "images_per_second")  # of a line of the log
NAMES = ("plain20", "resnet20", "plain56", "resnet56")
SETTINGS = {**DEFAULTS, "epochs": 3, "limit": 500, "framework": "torch", "depths": [20, 56]}


def line(epoch: int, error: float) -> dict[str, Any]:
    found = {"epoch": epoch, "framework": "torch", "time": 1764150000.25, "rate": 0.1}
    found |= {"train_loss": 2.0 / epoch, "test_loss": 2.5, "seconds": 3.5}
    return {**found, "train_accuracy": 1 - error / epoch, "test_accuracy": 1 - 1.25 * error}


@pytest.fixture
def record() -> dict[str, Any]:
    """Made up; every network has its own errors."""
    states = {}
    for place, name in enumerate(NAMES):
        history = [line(epoch, 0.3 + place / 10) for epoch in (1, 2, 3)]
        states[name] = State({}, {}, 3, {}, {**SETTINGS, "model": name}, history)
    return records.make(states, {**SETTINGS, "data": "0" * 64, "threads": 2})


# -- the record


def test_a_record_is_read_as_it_was_written(record: dict[str, Any], tmp_path: Path) -> None:
    json_records.write(tmp_path / "x.json", record, force=True)
    assert records.read(tmp_path / "x.json") == record
    shortcuts = [network["shortcuts"] for network in record["networks"]]
    assert shortcuts == 2 * ["none", "padded"]
    assert {"torch", "numpy"} <= set(record["context"]["versions"])
    assert record["context"]["system"]["cores"] > 0
    with pytest.raises(RecordError, match=r"no\.json: can't be read"):
        records.read(tmp_path / "no.json")


def _swap_names(record: dict[str, Any]) -> None:
    one, other = record["networks"][:2]
    one["name"], other["name"] = other["name"], one["name"]


def _swap_curves(record: dict[str, Any]) -> None:
    """As if the folders of two networks had been mixed up."""
    one, other = record["networks"][:2]
    for key in ("trained", "epochs"):
        one[key], other[key] = other[key], one[key]


MUTATIONS: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (_swap_names, "has resnet20, plain20, plain56, resnet56 instead of plain20, resnet20"),
    (_swap_curves, "plain20: its curve is of resnet20, shortcuts none"),
    (lambda r: r["networks"][1].update(shortcuts="none"), "resnet20: its curve is of resnet20"),
    (lambda r: r["networks"].pop(), "has plain20, resnet20, plain56 instead of"),
    (lambda r: r["networks"][2]["epochs"].pop(), "plain56: 2 of 3 epochs"),
    (lambda r: r["networks"][2]["epochs"].reverse(), "plain56: 3 of 3 epochs, or not in order"),
    (lambda r: r["networks"][0]["epochs"].pop(0), "plain20: 2 of 3 epochs"),
    (lambda r: r["networks"][3]["epochs"][0].update(framework="paddle"), "epochs in paddle"),
    (lambda r: r["networks"][3]["epochs"][0].update(test_loss=float("nan")), "NaN"),
    (
        lambda r: r["networks"][3]["epochs"][0].pop("test_accuracy"),
        r"record\.networks\[3\]\.epochs\[0\]: .*required should be .*test_accuracy",
    ),
    (
        lambda r: r["networks"][3]["epochs"][0].update(test_accuracy=1.5),
        r"epochs\[0\]\.test_accuracy: 1\.5, but its maximum should be 1",
    ),
    (lambda r: r["settings"].pop("limit"), r"record\.settings: .*required should be .*limit"),
    (lambda r: r["settings"].update(data="0"), r"record\.settings\.data: '0'"),
    (lambda r: r["context"].pop("system"), r"record\.context: .*required should be .*system"),
    (lambda r: r["context"].pop("versions"), r"record\.context: .*required should be .*versions"),
    (lambda r: r.pop("context"), "required should be .*context"),
    (lambda r: r.update(schema=2), r"record\.schema: 2, but its const should be 1"),
    (lambda r: r.update(kind="train"), r"record\.kind: 'train', but its const should be"),
]


@pytest.mark.parametrize(("mutate", "said"), MUTATIONS)
def test_a_record_that_is_not_whole_is_refused(
    record: dict[str, Any], tmp_path: Path, mutate: Callable[[dict[str, Any]], Any], said: str
) -> None:
    mutate(record)
    (tmp_path / "x.json").write_text(json.dumps(record))
    with pytest.raises(RecordError, match=said):
        records.read(tmp_path / "x.json")


# -- what is shown of it


def cells(table: str) -> dict[str, list[str]]:
    found = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
    return {row[0]: row[1:] for row in found[2:]}


def test_the_table_has_the_last_epochs_errors(record: dict[str, Any]) -> None:
    table = records.table(record, "github")
    wanted = {"plain20": ["10.00", "37.50"], "resnet20": ["13.33", "50.00"]}
    wanted |= {"plain56": ["16.67", "62.50"], "resnet56": ["20.00", "75.00"]}
    assert cells(table) == wanted
    said = records.legend(record)
    for words in ("3 epochs on the first 500 images", "One seed", "numpy ", "multistep schedule"):
        assert words in said
    _swap_curves(record)
    assert cells(records.table(record, "github")) != wanted


def lines(figure: Any) -> dict[str, tuple[str, list[float]]]:
    """Of the panel of errors: a curve's label -> its style and values."""
    (panel,) = (axes for axes in figure.axes if axes.get_title() == "error, %")
    return {one.get_label(): (one.get_linestyle(), list(one.get_ydata())) for one in panel.lines}


def test_every_curve_is_drawn_under_its_networks_name(record: dict[str, Any]) -> None:
    found = lines(curves._figure(records.runs(record)))
    assert list(found) == [f"{name}, {part}" for name in NAMES for part in ("train", "test")]
    for place, name in enumerate(NAMES):
        error = 100 * (0.3 + place / 10)
        assert found[f"{name}, train"] == ("-", pytest.approx([error, error / 2, error / 3]))
        assert found[f"{name}, test"] == ("--", pytest.approx(3 * [1.25 * error]))
    _swap_curves(record)
    swapped = lines(curves._figure(records.runs(record)))
    assert swapped["plain20, test"] == found["resnet20, test"] != found["plain20, test"]


def test_the_readmes_block_is_the_records(
    record: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readme, "RESULTS", tmp_path)
    assert readme.degradation() == "It has no record yet."
    json_records.write(tmp_path / "degradation.json", record, force=True)
    block = readme.degradation()
    assert cells(block.split("\n\n")[0])["resnet56"] == ["20.00", "75.00"]
    assert records.legend(record) in block
    record["networks"][0]["epochs"].pop()
    json_records.write(tmp_path / "degradation.json", record, force=True)
    with pytest.raises(RecordError, match="2 of 3 epochs"):
        readme.degradation()


# -- the command


SMALL = ["--depths", "20", "--epochs", "2", "--limit", "64", "--batch", "32", "--rate", "0.01"]


def words(cifar: Path, out: Path, *more: str) -> list[str]:
    return ["--data", str(cifar), "--out", str(out), "--threads", "1", *SMALL, *more]


@pytest.fixture(scope="module")
def whole(cifar: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    out = tmp_path_factory.mktemp("whole")
    assert degradation.main(words(cifar, out)) == 0
    return out


def untimed(record: dict[str, Any]) -> list[Any]:
    found = copy.deepcopy(record["networks"])
    for network in found:
        for one in network["epochs"]:
            for key in TIMES:
                del one[key]
    return found


@pytest.mark.numerical
def test_each_curve_is_its_own_networks(cifar: Path, whole: Path) -> None:
    """Beside trainings of the two networks here, which begin alike and see the same images."""
    record = records.read(whole / degradation.RECORD)
    assert [path.name for path in whole.glob("curves.*")]
    assert record["settings"].items() >= {"depths": [20], "limit": 64, "momentum": 0.9}.items()
    assert len(record["settings"]["data"]) == 64
    parts = tuple(data.limited(part, 64) for part in data.parts(cifar))
    losses, wanted = {}, {}
    for network in record["networks"]:
        settings = checkpoints.load(whole / network["name"] / epochs.CHECKPOINT).settings
        state = epochs.begin({**settings, "model": network["name"]})
        side = TorchSide(dict(state.settings), How(threads=1))
        side.put(state.weights, {})
        (trained,) = epochs.epoch(side, state, *parts, "torch").history
        wanted[network["name"]] = trained["train_loss"]
        losses[network["name"]] = network["epochs"][0]["train_loss"]
    # A thousand times nearer to its own than the two are to each other, which is far enough.
    between = abs(wanted["plain20"] - wanted["resnet20"])
    assert between > 0.01 * wanted["resnet20"]
    for name, loss in losses.items():
        assert abs(loss - wanted[name]) < between / 1000, name


def test_killed_and_begun_again_it_is_the_run_that_was_not(
    cifar: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cut"
    command = [sys.executable, "-m", "training.degradation", *words(cifar, out)]
    started = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 120
    while not (out / "plain20" / epochs.CHECKPOINT).exists() and time.monotonic() < until:
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    assert not (out / degradation.RECORD).exists()
    assert degradation.main(words(cifar, out)) == 0
    shown = capsys.readouterr().out
    assert "test error, %" in shown
    assert "One seed" in shown
    found = records.read(out / degradation.RECORD)
    assert untimed(found) == untimed(records.read(whole / degradation.RECORD))


def test_what_is_there_is_no_other_experiments(
    cifar: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (whole / degradation.RECORD).read_bytes()
    for more, said in (
        (["--seed", "7"], "was begun with seed 0; name another --out"),
        (["--framework", "paddle"], "was begun with framework torch"),
    ):
        assert degradation.main(words(cifar, whole, *more)) == 2
        assert said in capsys.readouterr().err
    path = whole / "resnet20" / epochs.CHECKPOINT
    kept = path.read_bytes()
    path.write_bytes((whole / "plain20" / epochs.CHECKPOINT).read_bytes())
    assert degradation.main(words(cifar, whole)) == 2
    assert "was begun with model plain20" in capsys.readouterr().err
    path.write_bytes(kept)
    assert (whole / degradation.RECORD).read_bytes() == before


def test_a_network_that_did_not_end_leaves_no_record(
    cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    asked = []
    monkeypatch.setattr(
        degradation.training_command, "main", lambda line: asked.append(line) or 130
    )
    assert degradation.main(words(cifar, tmp_path)) == 130
    assert "plain20 is not finished; the same command continues" in capsys.readouterr().err
    assert len(asked) == 1
    assert not (tmp_path / degradation.RECORD).exists()


def test_a_depth_that_is_named_twice_counts_once() -> None:
    assert degradation._depths("56,20,56") == [56, 20]


@pytest.mark.parametrize("depths", ["", "18", "20;56", "resnet20"])
def test_depths_without_both_networks_are_refused(tmp_path: Path, capsys, depths: str) -> None:
    with pytest.raises(SystemExit) as ended:
        degradation.main(["--data", "x", "--out", str(tmp_path), "--depths", depths])
    assert ended.value.code == 2
    assert "choose from 20, 32, 44, 56, 110" in capsys.readouterr().err
