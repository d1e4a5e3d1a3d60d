"""``python -m training.sheet``: the first test images in one PNG, with their labels.

The sheet is small enough to be kept beside a program, and can be looked at: a grid of images. The
PNG's texts hold the labels and a digest of images and labels, which
``python -m training.evaluate`` checks.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from training.data import cifar
from training.data.cifar import SIDE, Cifar
from training.errors import DataError
from weight_port import WeightPortError, terminal
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
    """The images of a sheet. Raises DataError for any other file, or a changed one."""
    try:
        with Image.open(path, formats=["PNG"]) as opened:
            pixels, texts = np.asarray(opened), opened.info
        labels = np.array(texts[_LABELS].split(), dtype=np.int64)
        rows = pixels.reshape(-1, SIDE, _COLUMNS, SIDE, 3).transpose(0, 2, 4, 1, 3)
    except _UNREADABLE as error:
        raise DataError(
            f"{path}: no sheet of test images ({error}); make it with python -m training.sheet"
        ) from None
    sheet = Cifar(np.ascontiguousarray(rows.reshape(-1, 3, SIDE, SIDE)), labels)
    if len(sheet.images) != len(labels) or cifar.digest(sheet) != texts.get(_DIGEST):
        raise DataError(f"{path}: its images have changed since it was made; make it anew")
    return sheet


def write(part: Cifar, path: Path, force: bool = False) -> None:
    """Write a multiple of 20 images as a PNG, whole or not at all.

    Raises DataError for another number of images, weight_port.DestinationError.
    """
    count = len(part.labels)
    if not count or count % _COLUMNS:
        raise DataError(
            f"{count} images: must be a multiple of {_COLUMNS}: a sheet has rows of {_COLUMNS}"
        )
    grid = np.asarray(part.images).reshape(-1, _COLUMNS, 3, SIDE, SIDE).transpose(0, 3, 1, 4, 2)
    texts = PngInfo()
    texts.add_text(_LABELS, " ".join(map(str, np.asarray(part.labels).tolist())))
    texts.add_text(_DIGEST, cifar.digest(part))
    with disk.new_file(path, force) as stream:
        picture = Image.fromarray(grid.reshape(-1, _COLUMNS * SIDE, 3))
        picture.save(stream, format="PNG", optimize=True, pnginfo=texts)


def _write(args: argparse.Namespace) -> int:
    test = cifar.load(args.data, "test")
    if args.images > len(test.labels):
        raise DataError(f"--images {args.images}: must be at most {len(test.labels)}")
    write(cifar.limited(test, args.images), args.out, args.force)
    print(f"{args.out}: the first {args.images} test images")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.sheet", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="made by python -m training.data")
    add("--images", type=terminal.whole(1), default=400, metavar="N",
        help=f"how many, a multiple of {_COLUMNS} (default: 400)")  # fmt: skip
    add("--out", type=Path, required=True, metavar="PNG")
    add("--force", action="store_true", help="replace PNG")
    terminal.add_version(parser)
    args = parser.parse_args(arguments)
    errors = (DataError, WeightPortError, OSError)
    return terminal.run("training.sheet", lambda: _write(args), errors)


if __name__ == "__main__":
    raise SystemExit(terminal.until_closed(main))
