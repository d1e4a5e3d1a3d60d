"""The first test images in one picture that says what they are: ``python -m training.sheet``.

Small enough to be kept beside a program, and to be looked at: a PNG, a grid of images, whose texts
are their labels and the digest of both, by which ``python -m training.evaluate`` knows it again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from training.data import cifar
from training.data.cifar import SIDE, Cifar
from training.errors import DataError
from weight_port import WeightPortError
from weight_port.storage import disk

_COLUMNS = 20
_LABELS, _DIGEST = "labels", "sha256"  # the texts' names
_UNREADABLE = (
    UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, KeyError, ValueError
)  # fmt: skip


def load(path: Path) -> Cifar:
    """The test images of a sheet, or of what ``python -m training.data`` made. Raises DataError."""
    return read(path) if path.is_file() else cifar.load(path, "test")


def read(path: Path) -> Cifar:
    """What ``write`` wrote. Raises DataError for any other file, or a changed one."""
    try:
        with Image.open(path, formats=["PNG"]) as opened:
            pixels, texts = np.asarray(opened), opened.info
        labels = np.array(texts[_LABELS].split(), dtype=np.int64)
        rows = pixels.reshape(-1, SIDE, _COLUMNS, SIDE, 3).transpose(0, 2, 4, 1, 3)
    except _UNREADABLE as error:
        raise DataError(
            f"{path}: no sheet of test images ({error}); make it with python -m training.sheet"
        ) from None
    found = Cifar(np.ascontiguousarray(rows.reshape(-1, 3, SIDE, SIDE)), labels)
    if len(found.images) != len(labels) or cifar.digest(found) != texts.get(_DIGEST):
        raise DataError(f"{path}: its images have changed since it was made; make it anew")
    return found


def write(found: Cifar, path: Path, force: bool = False) -> None:
    """Write a multiple of 20 images as a PNG; whole or not at all. Raises DataError."""
    count = len(found.labels)
    if not count or count % _COLUMNS:
        raise DataError(f"{count} images: a sheet has rows of {_COLUMNS}")
    grid = np.asarray(found.images).reshape(-1, _COLUMNS, 3, SIDE, SIDE).transpose(0, 3, 1, 4, 2)
    texts = PngInfo()
    texts.add_text(_LABELS, " ".join(map(str, np.asarray(found.labels).tolist())))
    texts.add_text(_DIGEST, cifar.digest(found))
    with disk.new_file(path, force) as stream:
        picture = Image.fromarray(grid.reshape(-1, _COLUMNS * SIDE, 3))
        picture.save(stream, format="PNG", optimize=True, pnginfo=texts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.sheet", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="made by python -m training.data")
    add("--images", type=int, default=400, metavar="N", help=f"a multiple of {_COLUMNS}")
    add("--out", type=Path, required=True, metavar="PNG")
    add("--force", action="store_true", help="replace PNG")
    words = parser.parse_args(arguments)
    try:
        test = cifar.load(words.data, "test")
        if not 0 < words.images <= len(test.labels):
            raise DataError(f"--images {words.images}: 1 to {len(test.labels)}")
        write(Cifar(*(part[: words.images] for part in test)), words.out, words.force)
    except (DataError, WeightPortError, OSError) as error:
        print(f"training.sheet: {error}", file=sys.stderr)
        return 1
    print(f"{words.out}: the first {words.images} test images")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
