"""The record behind the README's table of networks: complete, current, honest about failures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.readme import __main__ as readme
from parity import survey
from parity.records import RecordError
from weight_port import arch

RECORD = readme.RESULTS / "parity" / "networks.json"


def test_every_network_of_the_record_is_the_same_in_both_frameworks() -> None:
    record = json.loads(RECORD.read_text())
    names = [row["name"] for row in record["networks"]]
    assert names == [name for name in arch.ARCHITECTURES if name in names]
    assert len(names) >= 65
    for row in record["networks"]:
        assert row["equal"] is True, row["name"]
        assert 0 <= row["logits"] <= survey.LOGITS, row["name"]
        assert 0 < row["gradients"] <= survey.GRADIENTS, row["name"]
        described = survey.described(row["name"])
        assert set(row["dialects"]) <= set(described.pop("dialects")), "rows may come, none goes"
        assert row.items() >= described.items()
    assert record["context"]["system"]["cpu"]
    assert set(record["frameworks"]) == {"torch", "paddle"}


def test_a_network_without_a_record_is_shown_as_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = json.loads(RECORD.read_text())
    known = [row["name"] for row in record["networks"]]
    lines = {line.split("`")[1]: line for line in readme.networks_table().splitlines()[2:]}
    assert list(lines) == list(arch.ARCHITECTURES)
    assert {name for name in lines if "not measured" not in lines[name]} == set(known)
    record["networks"] = record["networks"][1:]
    (tmp_path / "parity").mkdir()
    (tmp_path / "parity" / "networks.json").write_text(json.dumps(record))
    monkeypatch.setattr(readme, "RESULTS", tmp_path)
    lines = {line.split("`")[1]: line for line in readme.networks_table().splitlines()[2:]}
    assert lines[known[0]].count("not measured") == 2


def test_a_network_is_described_by_the_tables() -> None:
    found = survey.described("resnet50")
    assert (found["parameters"], found["multiply_adds"]) == (25_557_032, 4_089_184_256)
    assert (found["weighted_layers"], found["year"], found["size"]) == (50, 2015, 224)
    assert {"torchvision", "timm", "paddle1"} <= set(found["dialects"])
    assert survey.described("resnext50_32x4d")["year"] == 2017


@pytest.mark.numerical
def test_a_run_is_kept_and_a_bound_that_is_passed_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "networks.json"
    assert survey.main(["resnet20", "plain18", "--out", str(out)]) == 0
    assert "2 networks, 2 equal" in capsys.readouterr().out
    rows = json.loads(out.read_text())["networks"]
    assert [row["name"] for row in rows] == ["resnet20", "plain18"]
    for row in rows:
        assert row["equal"]
        assert 0 < row["logits"] <= 1e-13
        assert 0 < row["gradients"] <= 1e-11
    for bound in ("LOGITS", "GRADIENTS"):
        with monkeypatch.context() as patched:
            patched.setattr(survey, bound, 1e-30)
            assert survey.main(["resnet20", "--out", str(out)]) == 1
        assert "not equal: resnet20" in capsys.readouterr().out


def test_what_was_not_run_is_not_equal() -> None:
    class Report:
        results = ()
        passed = True

    found = survey.measured(Report())
    assert found == {"logits": None, "gradients": None, "equal": False}


def test_not_a_number_is_not_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Output:
        def __init__(self, what: str) -> None:
            self.what = what

    class Seen:
        relative_l2 = math.nan

    class Section:
        outputs = (Output("logits"), Output("gradient"))

    class Result:
        section = Section
        outputs = (Seen, Seen)

    class Report:
        results = (Result,)
        passed = True

    measured = survey.measured(Report())
    assert measured == {"logits": None, "gradients": None, "equal": False}


def test_unknown_networks_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        survey.main(["resnet51", "--out", str(tmp_path / "x.json")])
    assert ended.value.code == 2
    assert "unknown: resnet51" in capsys.readouterr().err


def made(names: list[str], commit: str = "a", **more: object) -> dict:
    return {
        "schema": 1, "kind": "networks", "frameworks": {}, "precision": "float64", "size": 64,
        "bounds": {}, "context": {"commit": commit, "system": {"cpu": "x"}, "date": "now"},
        "networks": [{"name": name, "equal": True} for name in names], **more,
    }  # fmt: skip


def committed() -> dict:
    """The record in the repository, as of a machine called x."""
    record = json.loads(RECORD.read_text())
    record["context"]["system"]["cpu"] = "x"
    return record


MUTATIONS = [
    (lambda r: r.update(schema=2), r"record\.schema: 2, but its const should be 1"),
    (lambda r: r.update(kind="parity"), r"record\.kind: 'parity'"),
    (lambda r: r.update(precision="float32"), r"record\.precision: 'float32'"),
    (lambda r: r.pop("bounds"), "bounds"),
    (lambda r: r["context"].pop("system"), r"record\.context: .*system"),
    (lambda r: r["frameworks"].pop("paddle"), r"record\.frameworks: .*paddle"),
    (lambda r: r["networks"][3].pop("gradients"), r"record\.networks\[3\]: .*gradients"),
    (lambda r: r["networks"][3].update(logits="0"), r"record\.networks\[3\]\.logits: '0'"),
    (lambda r: r["networks"][3].update(equal=1), r"record\.networks\[3\]\.equal: 1"),
    (lambda r: r["networks"][3].update(commit="a"), r"record\.networks\[3\]\.commit: 'a'"),
]


@pytest.mark.parametrize(("mutate", "reason"), MUTATIONS)
def test_a_record_that_is_no_survey_is_refused(
    tmp_path: Path, mutate: Callable[[dict], object], reason: str
) -> None:
    record, path = committed(), tmp_path / "networks.json"
    path.write_text(json.dumps(record))
    assert survey.read(path) == record
    mutate(record)
    path.write_text(json.dumps(record))
    with pytest.raises(RecordError, match=rf"networks\.json: no record of a survey:\n.*{reason}"):
        survey.read(path)


def test_rows_are_added_in_the_tables_order_each_with_its_commit() -> None:
    old = made(["resnet18", "plain18", "gone"])
    busy = {"commit": "b", "system": {"cpu": "x", "load": [9.0]}}
    found = survey.added(old, made(["resnet34", "plain18"], context=busy), "x.json")
    rows = [(row["name"], row["commit"]) for row in found["networks"]]
    assert rows == [("resnet18", "a"), ("resnet34", "b"), ("plain18", "b")]
    again = survey.added(found, made(["vgg11"], "c"), "x.json")
    rows = [(row["name"], row["commit"]) for row in again["networks"]]
    assert rows == [("resnet18", "a"), ("resnet34", "b"), ("plain18", "b"), ("vgg11", "c")]


@pytest.mark.parametrize("key", ["frameworks", "size", "bounds", "schema", "precision"])
def test_rows_of_unlike_runs_are_not_put_together(key: str) -> None:
    with pytest.raises(RecordError, match=rf"x\.json: its {key} are not those of this run"):
        survey.added(made(["resnet18"], **{key: 0}), made(["plain18"]), "x.json")


def test_another_machine_is_another_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = made(["resnet18"], context={"commit": "a", "system": {"cpu": "y"}})
    with pytest.raises(RecordError, match="its cpu are not those of this run"):
        survey.added(other, made(["plain18"]), "x.json")
    path = tmp_path / "networks.json"
    path.write_text("no record")
    assert survey.main(["resnet20", "--add", "--out", str(path)]) == 2
    assert path.read_text() == "no record"
    assert "parity.survey: " in capsys.readouterr().err


def test_an_unlike_record_is_refused_before_anything_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("it ran")

    monkeypatch.setattr(survey, "run", never)
    path = tmp_path / "networks.json"
    kept = json.dumps(committed())
    path.write_text(kept)
    assert survey.main(["resnet20", "--add", "--out", str(path)]) == 2
    assert "cpu are not those of this run; run all networks" in capsys.readouterr().err
    assert path.read_text() == kept
