"""The commands that take the README's records anew: they ask for what the records hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import kinds
from benchmarks.__main__ import main
from benchmarks.grid.cells import LABELS, Cell, describe_cell
from benchmarks.harness import frameworks
from benchmarks.readme import records
from benchmarks.records import marks, rooms

GROWING = [name for name in records.RECORDS if name not in records._AT_ONCE]


def dry_run(name, capsys):
    """The rows that a record's command would measure, and its processes for each."""
    assert main([*records.RECORDS[name].split(), "--dry-run"]) == 0
    *rows, _, _ = capsys.readouterr().out.splitlines()
    parts = [row.rpartition(": ") for row in rows]
    return [part[0] for part in parts], {int(part[2].split()[0]) for part in parts}


def held(record):
    """The rows of a record, as a dry run calls them."""
    if "cells" in record:
        return [describe_cell(Cell(**{key: one[key] for key in LABELS})) for one in record["cells"]]
    if "commands" in record:
        return [one["name"] for one in record["commands"]]
    (rows,) = (record[key] for key in ("rows", "sides") if key in record)
    return [one["framework"] for one in rows]


@pytest.mark.parametrize("name", GROWING)
def test_a_command_asks_for_the_rows_that_its_record_has(name, monkeypatch, capsys):
    monkeypatch.setattr(frameworks, "start", None)  # nothing is started for that
    record = kinds.read(records.RESULTS / f"{name}.json")
    rows, counts = dry_run(name, capsys)
    there = held(record)
    if kinds.kind(record) in ("layers", "train"):  # which call theirs by more than the framework
        assert [row.split(",")[0].split()[0] for row in rows] == there
    else:  # a network of today may have no row yet
        assert set(there) <= set(rows)
        assert len(rows) == len(set(rows))
    assert counts <= {record["settings"]["rounds"], 5}


def test_a_command_that_forgets_a_row_would_be_seen(capsys):
    rows, _ = dry_run("forward-cpu", capsys)
    assert "resnet50 batch 1 timm" in rows
    assert "resnet50 batch 1 timm" in held(kinds.read(records.RESULTS / "forward-cpu.json"))


def test_each_grows_aside_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "BUILD", tmp_path)
    for name in GROWING:
        assert records.command(name)[-3:] == ["--resume", "--json", str(tmp_path / f"{name}.json")]
    assert records.command("selftest-cpu")[-3] == "--force"


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_record_takes_its_place_when_it_is_complete(is_complete, tmp_path, monkeypatch, capsys):
    results, build = tmp_path / "results", tmp_path / "build"
    results.mkdir()
    old = kinds.read(records.RESULTS / "allocators-cpu.json")
    assert rooms.is_stale(old)
    (results / "allocators-cpu.json").write_text(json.dumps(old))
    taken = {**old, "context": {**old["context"], "rooms": rooms.digests()}}
    if not is_complete:
        taken[marks.INCOMPLETE] = {"done": 1, "of": 50}

    def run(command, check):
        Path(command[-1]).write_text(json.dumps(taken))

    monkeypatch.setattr(records, "RESULTS", results)
    monkeypatch.setattr(records, "BUILD", build)
    monkeypatch.setattr(records, "RECORDS", {"allocators-cpu": records.RECORDS["allocators-cpu"]})
    monkeypatch.setattr(records.subprocess, "run", run)
    monkeypatch.setattr(records.sys, "argv", ["records", "--retake"])
    assert records.main() == (0 if is_complete else 1)
    in_place = kinds.read(results / "allocators-cpu.json")
    assert rooms.is_stale(in_place) is not is_complete
    assert (build / "allocators-cpu.json").exists() is not is_complete
    assert "--resume --json" in capsys.readouterr().err
