"""A record is of the code that it measured: the digest, and what stands beside stale figures."""

from __future__ import annotations

import shutil

import pytest

from benchmarks import kinds
from benchmarks.readme import __main__ as readme
from benchmarks.readme import records as readme_records
from benchmarks.records import rooms
from tests import ROOT
from tests.helpers.benchmark_records import small_record

RESULTS = ROOT / "benchmarks" / "results"


def test_every_kind_has_rooms_that_are_there_and_none_of_them_is_a_test():
    assert set(rooms.ROOMS) == set(kinds.KINDS)
    for of in rooms.ROOMS.values():
        sources = list(rooms._sources(of))
        assert sources
        assert all(path.exists() and "tests" not in path.parts for path in sources)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The rooms in a folder of their own, where a test may change them."""
    for package in ("weight_port", "pytorch_impl", "paddle_impl", "parity", "training"):
        shutil.copytree(ROOT / package, tmp_path / package)
    shutil.copytree(
        ROOT / "benchmarks", tmp_path / "benchmarks", ignore=lambda *_: ["results", "__pycache__"]
    )
    monkeypatch.setattr(rooms, "ROOT", tmp_path)
    rooms.digest.cache_clear()
    yield tmp_path
    rooms.digest.cache_clear()


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("pytorch_impl/resnet.py", {"forward", "layers", "latency", "throughput", "train"}),
        ("weight_port/conversion/convert.py", {"port"}),
        ("benchmarks/experiments/forward/worker.py", {"forward"}),
        ("benchmarks/experiments/forward/table.py", set()),
        ("benchmarks/experiments/selftest/worker.py", {"selftest"}),
        ("training/loop/epochs.py", {"train"}),
        ("benchmarks/devices/timing.py", set(rooms.ROOMS)),
        ("benchmarks/commands/show.py", set()),
    ],
)
def test_a_change_makes_those_records_stale_that_measured_it(file, changed, copied):
    before = rooms.digests()
    with open(copied / file, "a") as stream:
        stream.write("\n# another\n")
    rooms.digest.cache_clear()
    after = rooms.digests()
    assert {kind for kind in before if before[kind] != after[kind]} - {"parity-cost"} == changed - {
        "parity-cost"
    }


def test_a_record_of_today_is_not_marked_and_another_is_in_every_text():
    made = small_record(rounds=5)
    said = "Taken with code of commit 0123456789ab; the code has changed since."
    assert said in kinds.render(made, "simple")
    made["context"]["rooms"] = rooms.digests()
    assert "the code has changed" not in kinds.render(made, "github")
    made["context"]["rooms"] = {**rooms.digests(), "forward": "0" * 64}
    assert said in kinds.render(made, "github")
    made["context"]["commit"] = {"id": "f" * 40, "dirty": True}
    assert "commit ffffffffffff and changes to it;" in rooms.mark(made)
    made["context"]["commit"] = None
    assert "an unknown commit" in rooms.mark(made)


def test_the_pages_mark_their_stale_records_and_no_others():
    text = "\n".join(page.read_text() for page in readme.pages())
    names = readme_records.stale()
    for name in readme_records.RECORDS:
        mark = rooms.mark(kinds.read(RESULTS / f"{name}.json"))
        assert bool(mark) == (name in names), name
        assert mark in text, name
