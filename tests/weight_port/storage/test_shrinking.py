"""A source that becomes shorter while it is read: an error with its name, and no signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import weight_port
from tests import ROOT
from weight_port.errors import FormatError
from weight_port.storage import buffers, copies, maps

SOURCES = ["a.safetensors", "a.npz", "a.pth", "a.pdparams", "a.pdiparams"]
COMMANDS = {
    "raw": ["convert", "SOURCE", "OUT.npz", "--to", "raw", "--force"],
    "pth": ["convert", "SOURCE", "OUT.pth", "--to", "raw", "--force"],
    "turned": ["convert", "SOURCE", "OUT.pdparams", "--to", "paddle_impl", "--force"],
    "folder": ["convert", "SOURCE", "OUT", "--to", "raw", "--force"],
    "statistics": ["inspect", "SOURCE", "--stats"],
}
PLACES = 8  # of each command


def shrunk(folder: Path, source: str, command: str, how: str = "copied") -> list[dict]:
    """What each child said whose source was shortened at another place, the whole one first."""
    words = [word.replace("SOURCE", str(folder / source)).replace("OUT", str(folder / "out"))
             for word in COMMANDS[command]]  # fmt: skip
    start = [sys.executable, "-W", "ignore", "-m", "tests.helpers.shrink_steps", how]
    kept = folder / f"kept-{source}"
    arguments = [str(folder / source), str(kept), str(PLACES), *words]
    done = subprocess.run([*start, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    rows: list[dict] = json.loads(done.stdout)
    assert rows[0]["status"] == 0, rows[0]
    return rows


@pytest.fixture
def folder(tmp_path, fake) -> Path:
    """A ResNet-18 in every format."""
    for source in SOURCES:
        to = "paddle1" if source.endswith("pdiparams") else "torchvision"
        weight_port.write(tmp_path / f"kept-{source}", fake(to, "resnet18"))
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("source", SOURCES)
def test_a_command_ends_with_an_error_and_leaves_nothing(folder, source: str, command: str) -> None:
    rows = shrunk(folder, source, command)
    errors = [row for row in rows[1:] if row["status"] != 0]
    for row in rows:
        assert row["status"] in (0, 2), row  # 0: all its bytes had been read before
    for row in errors:
        assert str(folder / source) in row["said"]
        assert "Traceback" not in row["said"]
    assert len(errors) >= len(rows) // 2
    left = {path.name for path in folder.iterdir() if not path.name.startswith(("kept-", "a."))}
    assert left <= {"out", "out.npz", "out.pth", "out.pdparams"}
    for path in left:
        assert len(weight_port.read(folder / path)) > 100  # the whole one of the first run


def test_the_measure_sees_a_program_that_looks_at_the_map(folder) -> None:
    rows = shrunk(folder, "a.npz", "raw", "mapped")
    assert -signal.SIGBUS in [row["status"] for row in rows]


# -- the copies


@pytest.fixture
def mapped(tmp_path) -> Path:
    path = tmp_path / "x"
    np.arange(1 << 20, dtype=np.float32).tofile(path)
    return path


def test_a_copy_is_what_the_file_holds(mapped) -> None:
    data = maps.map_bytes(mapped)
    assert copies.map_of(data) is data.obj
    for start, stop in ((0, len(data)), (1, 70_001), (4095, 4097), (5, 5), (len(data) - 1, None)):
        part = data[start:stop]
        copy = copies.copied(part)
        assert copy == part
        assert copies.map_of(copy) is None
        assert b"".join(map(bytes, copies.pieces(part))) == part


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0), (0, 2, 1)])
@pytest.mark.parametrize("part", [slice(None), slice(3, 60), slice(0, 0), slice(None, None, 2)])
def test_an_array_in_any_order_is_copied(mapped, same_bits, axes, part: slice) -> None:
    array = np.frombuffer(maps.map_bytes(mapped), np.float32).reshape(64, 128, 128)
    turned = array.transpose(axes)[part]
    same_bits({"w": buffers.own(turned)}, {"w": np.ascontiguousarray(turned)})
    assert bytes(buffers.raw_bytes(turned)) == turned.tobytes()


def test_bytes_that_are_gone_are_an_error(mapped) -> None:
    data = maps.map_bytes(mapped)
    array = np.frombuffer(data, np.float32).reshape(1024, 1024)
    os.truncate(mapped, 10_000)
    assert copies.copied(data[:10_000]) == np.arange(2_500, dtype=np.float32).tobytes()
    said = "x: became shorter while it was read: 10000 bytes of 4194304 are left"
    for read in (
        lambda: copies.copied(data[50_000:60_000]),
        lambda: list(copies.pieces(data)),
        lambda: buffers.own(array),
        lambda: buffers.raw_bytes(array.T),
        lambda: copies.Nearby(data, 50_000).near(4),
    ):
        with pytest.raises(FormatError, match=said):
            read()


def test_bytes_of_our_own_are_not_copied() -> None:
    array = np.zeros(3)
    assert buffers.own(array) is array
    data = memoryview(b"abc")
    assert copies.copied(data) is data
    assert list(copies.pieces(data)) == [data]


def test_a_reader_looks_at_what_is_near(mapped) -> None:
    nearby = copies.Nearby(maps.map_bytes(mapped), 8)
    for position in (8, 9, 4_000, 4_095, 4_096, 5_000, 1 << 20, (4 << 20) - 2, 4 << 20):
        nearby.position = position
        assert nearby.near(4) == nearby.data[position : position + 4]


def test_systems_without_files_in_memory_use_one_on_disk(mapped, monkeypatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    data = maps.map_bytes(mapped)
    assert copies.copied(data[1:500_000]) == data[1:500_000]
