"""Curves: as pictures, and in the bytes that TensorBoard and VisualDL read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training import curves
from training.loop import event_files
from training.loop.epochs import LOG

# One scalar as tensorboardX 2.6.5 and VisualDL 2.5.3 write it, the former's first record before it.
VERSION = "1800000000000000a37f4b2209000010bcb249da411a0d627261696e2e4576656e743a321c8f8b21"
EVENT = (
    "2100000000000000017becf609000010bcb249da4110ac022a130a110a0a6c6f73732f747261696e"
    "15000020405f5c2f15"
)
RECORD = "1d000000000000000a1b08ac02120a6c6f73732f747261696e18faf4a2fcab332500002040"


def line(epoch: int, **more: Any) -> dict[str, Any]:
    found = {"epoch": epoch, "framework": "torch", "time": 1764150000.25, "rate": 0.1}
    found |= {"train_loss": 2.5 / epoch, "test_loss": 2.75, "train_accuracy": 1 - 0.5 / epoch}
    return {**found, "test_accuracy": 0.25, "images_per_second": 1234.5, **more}


HISTORY = [line(epoch) for epoch in range(1, 5)]


def test_the_checksum_is_castagnolis() -> None:
    assert event_files.crc32c(b"123456789") == 0xE3069283
    assert event_files.crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert event_files.crc32c(b"\xff" * 32) == 0x62A8AB43


def test_the_bytes_are_those_of_the_programs_own_writers() -> None:
    history = [line(300, train_loss=2.5)]
    assert event_files.tensorboard(history).hex().startswith(VERSION + EVENT)
    assert event_files.visualdl(history).hex().startswith(RECORD)
    other = [line(300, train_loss=2.5000002)]
    assert not event_files.tensorboard(other).hex().startswith(VERSION + EVENT)
    assert not event_files.visualdl(other).hex().startswith(RECORD)


def test_every_curve_of_every_epoch_is_there() -> None:
    for render in event_files.FILES.values():
        content = render(HISTORY)
        for tag in event_files.CURVES:
            assert content.count(tag.encode()) == len(HISTORY)


def test_a_file_grows_with_its_history_and_is_replaced_by_another(tmp_path: Path) -> None:
    for name, render in event_files.FILES.items():
        path = tmp_path / name
        event_files.write(tmp_path, HISTORY[:2])
        first = path.stat().st_ino
        event_files.write(tmp_path, HISTORY)
        assert path.read_bytes() == render(HISTORY)
        assert path.stat().st_ino == first  # who has it open sees it grow
        with open(path, "ab") as stream:
            stream.write(b"half a rec")  # as a process that was killed leaves it
        event_files.write(tmp_path, HISTORY)
        assert path.read_bytes() == render(HISTORY)
        event_files.write(tmp_path, HISTORY[:1])
        assert path.read_bytes() == render(HISTORY[:1])


# -- pictures


def kept(folder: Path, history: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    (folder / LOG).write_text("".join(json.dumps(one) + "\n" for one in history))
    return folder


def test_runs_are_drawn_beside_each_other(tmp_path: Path) -> None:
    one = kept(tmp_path / "one", HISTORY)
    two = kept(tmp_path / "two", [*HISTORY[:2], line(3, framework="paddle", train_accuracy=1.0)])
    out = tmp_path / "out"
    assert curves.main([str(one), str(two), "--out", str(out)]) == 0
    shown = (out / "curves.svg").read_text()
    for name in ("one (torch), train", "two (torch, paddle), test", "error, %", "learning rate"):
        assert f">{name}</text>" in shown
    pixels = np.asarray(Image.open(out / "curves.png").convert("RGB"))
    for colour in ((31, 119, 180), (255, 127, 14)):  # a line of each run
        assert (np.abs(pixels.astype(int) - colour).sum(axis=2) < 12).sum() > 200
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert curves.main([str(one), str(two), "--out", str(out)]) == 0
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}
    kept(tmp_path / "other", [{**HISTORY[0], "train_loss": 1.0}, *HISTORY[1:]])
    (tmp_path / "other").rename(one.with_name("moved"))
    assert curves.main([str(one.with_name("moved")), str(two), "--out", str(out)]) == 0
    assert before["curves.png"] != (out / "curves.png").read_bytes()


@pytest.mark.parametrize(
    "content", [None, "", "no JSON\n", "[]\n", '{"epoch": 1, "train_loss": 2.0}\n']
)
def test_what_is_no_log_is_an_error(tmp_path: Path, capsys, content: str | None) -> None:
    if content is not None:
        (tmp_path / LOG).write_text(content)
    assert curves.main([str(tmp_path)]) == 2
    assert f"{LOG}: no log of a training" in capsys.readouterr().err
    assert not list(tmp_path.glob("curves.*"))


def test_a_rate_that_ends_at_nothing_leaves_room_for_the_labels() -> None:
    """Of a cosine's last step: nine decades of ticks would stand on each other."""
    history = [line(epoch + 1, rate=rate) for epoch, rate in enumerate((0.1, 0.05, 1e-9))]
    rates = curves._figure({"run": history}).axes[2]
    assert rates.get_ylim()[0] >= 1e-6
    low, high = rates.get_ylim()
    assert len([tick for tick in rates.get_yticks() if low <= tick <= high]) <= 10
