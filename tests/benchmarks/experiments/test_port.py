"""``python -m benchmarks port``: its record, its tables, its refusals and a small real run."""

from __future__ import annotations

import copy
import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import weight_port
from benchmarks import kinds
from benchmarks.__main__ import main
from benchmarks.experiments.port import cases, larger_table
from benchmarks.experiments.port import measure as port
from benchmarks.experiments.port import rows as port_rows
from benchmarks.experiments.port import table as port_table
from benchmarks.experiments.port.cases import (
    COPY,
    HELP,
    INSPECT,
    INSPECT_SMALL,
    NUMPY,
    PADDLE_SAFETENSORS,
    PTH,
    PYTHON_ALONE,
    SAFETENSORS,
    TABLE,
    TWICE,
)
from benchmarks.harness import frameworks, processes
from benchmarks.records import record, tables
from parity.workers import launch
from tests.helpers.exit_status import status
from weight_port import arch
from weight_port.conversion import candidates
from weight_port.dialects import keys
from weight_port.parts import prefixes

PARTS = ("start-up", "read", "rename", "write", "wait for the SHA-256", "sync", "exit", "rest")
SECONDS = {  # of every command, a second where it isn't said
    COPY: 0.1,
    SAFETENSORS: 0.3,
    PADDLE_SAFETENSORS: 1.5,
    PTH: 0.4,
    NUMPY: 0.09,
    PYTHON_ALONE: 0.05,
    INSPECT_SMALL: 0.2,
    TABLE: 0.1,
    TWICE: 0.104,
    HELP: 0.1,
}


def make_run(turn: int, seconds: float, with_parts: bool = False) -> dict[str, object]:
    wall = round(seconds * 1e9)
    parts = {**dict.fromkeys(PARTS, wall // 10), "rest": 0}
    parts["write"] = wall - sum(parts.values()) + parts["write"]
    found = {"round": turn, "wall_ns": wall, "cpu_ns": wall // 2}
    return {**found, "parts": parts if with_parts else None}


def make_record(rounds: int = 5) -> dict[str, object]:
    """A run on a machine that never wavers; converting from .npz to .pth failed."""
    memory = [
        {"source": s, "destination": d, "peak_bytes": 50_000_000, "looks": 90, "error": None}
        for s in ("safetensors", "npz, stored")
        for d in ("pth", "npz")
    ]
    commands = [
        {
            "name": command.name,
            "command": command.shown,
            "error": None,
            "runs": [
                make_run(turn, SECONDS.get(command.name, 1.0), command in cases.PARTS)
                for turn in range(rounds)
            ],
        }
        for command in cases.COMMANDS
    ]
    system = {"cpu": "A CPU", "cores": 2, "python": "3.11"}
    torch = {"versions": {"torch": "2.14.1"}}
    return {
        "schema": 1,
        "kind": "port",
        "context": {
            "date": "2026-01-02T03:04:05+00:00",
            "commit": None,
            "system": system,
            "gpu": None,
            "frameworks": {"torch": torch},
            "environment": {},
        },
        "settings": {
            "model": "resnet152",
            "files": 8,
            "bytes": 241_000_000,
            "rounds": rounds,
            "seed": 0,
        },
        "commands": commands,
        "memory": memory,
    }


def entry(made: dict, name: str) -> dict:
    return next(row for row in made["commands"] if row["name"] == name)


def reached(made: dict) -> dict[str, str]:
    return {row["top"]: row["reached"] for row in port_rows.targets(made)}


def test_a_record_survives_its_file_and_is_shown(tmp_path, capsys) -> None:
    made = make_record()
    kinds.write(tmp_path / "port.json", made)
    assert kinds.read(tmp_path / "port.json") == made
    for style in tables.FORMATS:
        assert main(["show", str(tmp_path / "port.json"), "--format", style]) == 0
        text = capsys.readouterr().out
        assert SAFETENSORS in text
        if style == "json":
            assert json.loads(text)["targets"][0]["limit"] == pytest.approx(1.25 * 0.1 + 0.18)
        if style == "csv":
            assert float(next(csv.DictReader(io.StringIO(text)))["seconds"]) == 0.1
        if style in ("simple", "github"):
            assert "resnet152, 241 MB, saved by Paddle. 5 processes per command." in text


def no_runs(made) -> None:
    entry(made, COPY)["runs"] = []


def no_wall(made) -> None:
    del entry(made, COPY)["runs"][0]["wall_ns"]


def parts_that_overlap(made) -> None:
    entry(made, cases.PARTS[0].name)["runs"][0]["parts"]["write"] += 1


def a_large_rest(made) -> None:
    parts = entry(made, cases.PARTS[0].name)["runs"][0]["parts"]
    parts["rest"], parts["write"] = parts["write"], parts["rest"]


def a_negative_rest(made) -> None:
    parts = entry(made, cases.PARTS[0].name)["runs"][0]["parts"]
    parts["rest"], parts["write"] = -1, parts["write"] + 1


def no_part(made) -> None:
    del entry(made, cases.PARTS[0].name)["runs"][0]["parts"]["sync"]


def no_memory(made) -> None:
    made["memory"][0]["peak_bytes"] = 0


def other_kind(made) -> None:
    made["kind"] = "flight"


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (no_runs, r"commands\[0\]: no error, and no runs"),
        (no_wall, r"commands\[0\]\.runs\[0\]: an object with round.* required"),
        (parts_that_overlap, r"its parts are not the whole"),
        (a_large_rest, r"are in no part"),
        (a_negative_rest, r"rest: -1, but its minimum"),
        (no_part, r"parts: an object with start-up.* required"),
        (no_memory, r"memory\[0\]\.peak_bytes: 0, but its minimum"),
        (other_kind, r"a record of 'flight', but this version reads forward, port"),
    ],
)
def test_a_spoilt_record_is_refused_with_the_place(spoil, where, tmp_path) -> None:
    made = make_record()
    spoil(made)
    with pytest.raises(record.RecordError, match=where):
        kinds.write(tmp_path / "port.json", made)
    assert not list(tmp_path.iterdir())


def test_targets_are_judged_from_the_times() -> None:
    found = {row["top"]: row for row in port_rows.targets(make_record())}
    first = found[SAFETENSORS]
    assert first["share"] == pytest.approx(0.3 / (1.25 * 0.1 + 0.18))
    assert (first["low"], first["high"]) == pytest.approx((first["share"], first["share"]))
    assert found[PADDLE_SAFETENSORS]["share"] == pytest.approx(1.5 / 0.3 / 4.5)
    assert reached(make_record()) == {
        SAFETENSORS: "yes",
        cases.SYNCED: "yes",
        PADDLE_SAFETENSORS: "yes",
        cases.PADDLE_TORCH: "no",  # 2.5 × of 7
        INSPECT_SMALL: "no",
        TWICE: "yes",
        HELP: "yes",
        **{cases.MANY[form, 1]: "no" for form in cases.MANY_FORMS},
    }


def test_what_processes_disagree_on_is_undecided() -> None:
    made = make_record()
    runs = entry(made, INSPECT_SMALL)["runs"]
    for run, seconds in zip(runs, (0.05, 0.07, 0.11, 0.2, 0.3), strict=True):
        run["wall_ns"] = round(seconds * 1e9)
    assert reached(made)[INSPECT_SMALL] == "undecided"


def test_a_target_whose_commands_an_older_record_has_not_is_left_out() -> None:
    made = make_record()
    made["commands"] = [row for row in made["commands"] if row["name"] != PYTHON_ALONE]
    assert set(reached(make_record())) - set(reached(made)) == {HELP}
    assert HELP in kinds.render(made, "simple")


def test_targets_are_withheld_below_five_processes_and_from_failures() -> None:
    assert port_rows.targets(make_record(rounds=4)) == []
    assert "No ratios: they need 5 processes" in kinds.render(make_record(4), "simple")
    made = make_record()
    entry(made, COPY).update(error="cp: exit status 1\nNo space left")
    assert SAFETENSORS not in reached(made)
    assert PADDLE_SAFETENSORS in reached(made)


def test_a_failure_shows_in_place_of_a_time() -> None:
    made = make_record()
    entry(made, SAFETENSORS).update(error="exit status 1\nweight-port: no such file")
    lines = kinds.render(made, "simple").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{SAFETENSORS} "))
    assert "FAILED" in line
    assert "weight-port: no such file" in line
    assert "0.300" not in line
    assert not any(f"/ {SAFETENSORS}" in line for line in lines)


@pytest.mark.parametrize("peak", [100_000_000, None])
def test_one_pair_of_formats_over_the_bound_is_enough(peak) -> None:
    made = make_record()
    assert port_rows.worst(made)["reached"] == "yes"
    made["memory"][2].update(peak_bytes=peak, error=None if peak else "killed")
    assert port_rows.worst(made)["reached"] == "no"
    text = tables.grid(port_table.memory(made), "simple")
    assert ("100" if peak else "FAILED") in text


def test_rendering_changes_nothing_in_the_record() -> None:
    made = make_record()
    before = copy.deepcopy(made)
    for style in tables.FORMATS:
        kinds.render(made, style)
    assert made == before


# -- processes


def test_a_process_is_timed_from_start_to_end() -> None:
    found = processes.run([sys.executable, "-c", "import time; time.sleep(0.2)"], os.environ)
    assert found.wall_ns > 200_000_000 > found.cpu_ns > 0


@pytest.mark.parametrize("measure", [processes.run, processes.peak_anonymous])
def test_a_command_that_fails_says_what_it_said(measure) -> None:
    program = "import sys; sys.exit('the disk is full')"
    with pytest.raises(processes.CommandError, match="exit status 1\nthe disk is full"):
        measure([sys.executable, "-c", program], os.environ)
    with pytest.raises(processes.CommandError, match="exit status -9"):
        measure(["sh", "-c", "kill -9 $$"], os.environ)


def test_a_command_that_hangs_is_killed(monkeypatch) -> None:
    monkeypatch.setattr(processes, "TIMEOUT", 0.2)
    for measure in (processes.run, processes.peak_anonymous):
        with pytest.raises(processes.CommandError, match="exit status -9"):
            measure(["sleep", "60"], os.environ)


def test_a_process_that_is_too_short_has_no_peak() -> None:
    with pytest.raises(processes.CommandError, match=r"its memory was looked at . times only"):
        processes.peak_anonymous(["true"], os.environ)


def test_fsync_is_left_out_by_the_launcher_alone() -> None:
    sync = "import os, {}\nos.fsync(-1)"
    for module, expected in (
        ("benchmarks.experiments.port.without_sync", 0),
        ("weight_port.cli", 1),
    ):
        done = subprocess.run([sys.executable, "-c", sync.format(module)], capture_output=True)
        assert done.returncode == expected


def test_the_environment_is_a_user_s(monkeypatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("OMP_STRAY", "1")
    found = port._environment()
    assert not {"PYTHONDONTWRITEBYTECODE", "OMP_STRAY"} & found.keys()
    assert "OPENBLAS_NUM_THREADS" not in launch.settings(2)


# -- a larger table


# What is kept of whole tables: of the usual ones by the tests before, of the grown ones else by
# those behind.
KEPT = (candidates.alike, candidates.unlike, keys.marks, prefixes._doors)


def forget() -> None:
    for kept in KEPT:
        kept.cache_clear()


@pytest.fixture
def grown():
    """The tables with every network twice, for the time of a test."""
    tables = (arch.RESNETS, arch.CLASSICS, arch.ARCHITECTURES, keys.DIALECTS)
    before = [dict(table) for table in tables]
    larger_table.grow(2)
    forget()
    yield before[2]
    for table, rows in zip(tables, before, strict=True):
        table.clear()
        table.update(rows)
    forget()


def test_a_larger_table_has_every_network_twice_and_no_two_alike(grown) -> None:
    assert len(arch.ARCHITECTURES) == 2 * len(grown)
    for dialect in keys.DIALECTS.values():
        assert len(set(dialect.holds)) == len(dialect.holds)
        assert sum(name.endswith("_copy1") for name in dialect.holds) == len(dialect.holds) / 2
    originals = {row.tensors for row in grown.values()}
    copies = {row.tensors for name, row in arch.ARCHITECTURES.items() if name not in grown}
    assert len(copies) == len(originals)
    assert copies.isdisjoint(originals)
    names = list(keys.keys("torchvision", "resnet18_copy1"))
    assert len(names) > len(keys.keys("torchvision", "resnet18"))


def test_a_larger_table_changes_no_detection_and_builds_no_more(grown, fake, monkeypatch) -> None:
    built: list[str] = []
    build = candidates.candidate

    def watched(tensors, dialect: str, name: str) -> candidates.Candidate:
        built.append(name)
        return build(tensors, dialect, name)

    monkeypatch.setattr(candidates, "candidate", watched)
    for dialect in keys.DIALECTS.values():
        for name in dialect.holds:
            if name in grown:
                tensors = fake(dialect.name, name)
                assert not weight_port.detect(tensors).architecture.endswith("_copy1")
    assert not [name for name in built if name.endswith("_copy1")]
    assert (
        weight_port.detect(fake("torchvision", "resnet50_copy1")).architecture == "resnet50_copy1"
    )


# -- outputs


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("w"), "not the tensors of the frameworks' own route: w"),
        (lambda t: t.update(w=t["w"] + 1), "w: other values than by the frameworks' own route"),
        (lambda t: t.update(w=t["w"].astype(np.float64)), r"w: float32 .* float64"),
        (lambda t: t.update(w=t["w"].T.copy()), r"w: float32 \(2, 3\), float32 \(3, 2\)"),
    ],
)
def test_a_wrong_output_is_seen(change, said, tmp_path) -> None:
    tensors = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(2, np.float32)}
    counter = {"bn.num_batches_tracked": np.array(0)}
    weight_port.write(tmp_path / "a.safetensors", tensors | counter)
    weight_port.write(tmp_path / "b.safetensors", tensors)
    assert port.difference(tmp_path / "a.safetensors", tmp_path / "b.safetensors") is None
    other = dict(tensors)
    change(other)
    weight_port.write(tmp_path / "b.safetensors", other, force=True)
    found = port.difference(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert found is not None
    assert re.search(said, found)


# -- the command


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The real command with every kind of row, one of them failing; a few pairs of formats."""
    folder = tmp_path_factory.mktemp("port")
    chosen = {COPY, PADDLE_SAFETENSORS, SAFETENSORS, HELP, cases.PARTS[0].name}
    commands = [command for command in cases.COMMANDS if command.name in chosen]
    bad = cases.Command(INSPECT, ("inspect", "{source}.none"), "", "weight_port")
    canned = {"versions": {}, "build": [], "switches": {}, "gpu": None}
    every = port.checkpoints.in_every_format

    def few(*arguments):
        found = every(*arguments)
        return {name: found[name] for name in ("pdparams, protocol 2", "pth, legacy")}

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(port, "COMMANDS", (*commands, bad))
        patch.setattr(port, "DESTINATIONS", {"safetensors": port.DESTINATIONS["safetensors"]})
        patch.setattr(frameworks, "describe", lambda *_: ({"torch": canned, "paddle": canned}, {}))
        patch.setattr(port.checkpoints, "in_every_format", few)
        options = ["--model", "resnet18", "--rounds", "2"]
        ended = main(["port", *options, "--json", "port.json"])
        left = [path.name for path in (folder / "build" / "benchmarks").iterdir()]
    return ended, kinds.read(folder / "port.json"), left


def test_a_real_run_times_what_works_and_says_what_does_not(real) -> None:
    ended, done, left = real
    assert ended == 1  # the row that fails
    assert left == []
    by_name = {row["name"]: row for row in done["commands"]}
    failed = by_name.pop(INSPECT)
    assert "no such file or folder" in failed["error"]
    assert failed["runs"] == []
    for row in by_name.values():
        assert row["error"] is None
        assert [run["round"] for run in row["runs"]] == [0, 1]
        assert all(run["wall_ns"] > 1_000_000 for run in row["runs"])
        assert "/" not in row["command"].replace("DIR/*", "")


def test_a_real_conversion_spends_time_in_every_part(real) -> None:
    _, done, _ = real
    (row,) = (row for row in done["commands"] if row["name"] == cases.PARTS[0].name)
    for run in row["runs"]:
        assert all(run["parts"][part] > 0 for part in PARTS if part != "wait for the SHA-256")
        assert sum(run["parts"].values()) == run["wall_ns"]


def test_a_real_conversion_needs_little_memory(real) -> None:
    _, done, _ = real
    assert [row["source"] for row in done["memory"]] == ["pdparams, protocol 2", "pth, legacy"]
    assert all(10e6 < row["peak_bytes"] < cases.ANONYMOUS for row in done["memory"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rounds", "0"], "'0' must be a whole number, at least 1"),
        (["--model", "resnet99"], "invalid choice: 'resnet99'"),
        (["--json", "no/such/folder/run.json"], "does not exist"),
    ],
)
def test_wrong_usage_is_status_2(arguments, said, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    assert status(main, ["port", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_both_frameworks_are_needed(capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(frameworks, "is_installed", lambda _: False)
    assert main(["port"]) == 2
    assert "pip install 'resnet-parity[paddle]'" in capsys.readouterr().err
    assert not list(Path("build").rglob("*.json"))
