"""Test images in one picture: there and back, and what is no such picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.helpers import cifar_files
from training import sheet
from training.data import cifar as data
from training.data.cifar import Cifar
from training.errors import DataError


@pytest.fixture
def made() -> Cifar:
    return cifar_files.made(train=0, test=40)


def test_there_and_back_to_the_byte(made: Cifar, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    sheet.write(made, path)
    for found in (sheet.read(path), sheet.load(path)):
        assert (found.images.dtype, found.labels.dtype) == (np.uint8, np.int64)
        np.testing.assert_array_equal(found.images, made.images)
        np.testing.assert_array_equal(found.labels, made.labels)
    with Image.open(path) as picture:  # what one sees: the second image of the second row
        assert picture.size == (640, 64)
        seen = np.asarray(picture)[32:64, 32:64]
    np.testing.assert_array_equal(seen, made.images[21].transpose(1, 2, 0))


def test_only_whole_rows(made: Cifar, tmp_path: Path) -> None:
    for count in (0, 39):
        with pytest.raises(DataError, match="rows of 20"):
            sheet.write(Cifar(made.images[:count], made.labels[:count]), tmp_path / "x.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", ["pixel", "label", "fewer labels", "no digest"])
def test_a_changed_sheet_is_refused(made: Cifar, tmp_path: Path, change: str) -> None:
    path = tmp_path / "sheet.png"
    sheet.write(made, path)
    with Image.open(path) as picture:
        pixels, texts = np.array(picture), dict(picture.info)
    labels = texts["labels"].split()
    if change == "pixel":
        pixels[3, 5, 1] ^= 1
    elif change == "label":
        labels[7] = str((int(labels[7]) + 1) % 10)
    elif change == "fewer labels":
        labels.pop()
    else:
        del texts["sha256"]
    kept = PngInfo()
    for name, value in {**texts, "labels": " ".join(labels)}.items():
        kept.add_text(name, value)
    Image.fromarray(pixels).save(path, pnginfo=kept)
    with pytest.raises(DataError, match="have changed since"):
        sheet.read(path)


def test_other_pictures_and_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.png"
    Image.new("RGB", (640, 32)).save(path)
    with pytest.raises(DataError, match=r"no sheet of test images .*training\.sheet"):
        sheet.read(path)
    texts = PngInfo()
    texts.add_text("labels", "1 2")
    Image.new("RGB", (100, 32)).save(path, pnginfo=texts)
    with pytest.raises(DataError, match="no sheet"):
        sheet.read(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match="no sheet"):
        sheet.read(path)
    path.write_text("text")
    with pytest.raises(DataError, match="no sheet"):
        sheet.load(path)
    with pytest.raises(DataError, match=r"training\.data"):
        sheet.load(tmp_path / "absent")


def test_the_command(cifar: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sheet.png"
    words = ["--data", str(cifar), "--out", str(out)]
    assert sheet.main([*words, "--images", "60"]) == 0
    assert "the first 60 test images" in capsys.readouterr().out
    np.testing.assert_array_equal(sheet.read(out).images, data.load(cifar, "test").images[:60])
    assert sheet.main(words) == 2
    assert "--force" in capsys.readouterr().err
    for count, reason in (("10020", "must be at most 10000"), ("50", "must be a multiple of 20")):
        assert sheet.main([*words, "--images", count, "--force"]) == 2
        assert reason in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        sheet.main([*words, "--images", "0", "--force"])
    assert ended.value.code == 2
    assert len(sheet.read(out).labels) == 60
