"""CIFAR-10's images and labels: checked, stored and mapped into memory."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from training.errors import DataError
from weight_port.storage import disk, folders

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
TRAIN, TEST, SIDE = 50_000, 10_000, 32
_FILES = {"images": "images.npy", "labels": "labels.npy"}
_ABOUT = "about.json"


class Cifar(NamedTuple):
    """uint8 pixels (N, 3, 32, 32), RGB, and int64 labels (N,), 0 to 9."""

    images: np.ndarray
    labels: np.ndarray


def check(images: Cifar, where: object) -> Cifar:
    """``images`` again, if they are CIFAR-10's by their sizes and counts. Raises DataError."""
    total = TRAIN + TEST
    pixels, wanted = images.images, (total, 3, SIDE, SIDE)
    if pixels.shape != wanted or pixels.dtype != np.uint8:
        raise DataError(f"{where}: images {pixels.shape} {pixels.dtype}, not {wanted} uint8")
    if images.labels.shape != (total,):
        raise DataError(f"{where}: {images.labels.size} labels for {total} images")
    for what, labels in (("train", images.labels[:TRAIN]), ("test", images.labels[TRAIN:])):
        counts = np.bincount(labels.clip(0, len(CLASSES)), minlength=len(CLASSES))
        if labels.min() < 0 or (counts != len(labels) // len(CLASSES)).any():
            raise DataError(
                f"{where}: its {what} labels count {counts.tolist()}, not all alike, by class"
            )
    return images


# -- what is stored


def digest(images: Cifar) -> str:
    """SHA-256 of the pixels and then the labels, in hexadecimal."""
    sha256 = hashlib.sha256(np.ascontiguousarray(images.images).data)
    sha256.update(np.ascontiguousarray(images.labels).data)
    return sha256.hexdigest()


def store(images: Cifar, out: Path, source: str, force: bool = False) -> None:
    """Write a folder of two .npy files and ``about.json``, whole or not at all.

    Raises weight_port.DestinationError.
    """
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with folders.new_folder(out, force) as folder:
        for name, array in zip(_FILES.values(), images, strict=True):
            np.save(folder / name, array)
        about = {"source": source, "sha256": digest(images), "classes": CLASSES}
        disk.write_json(folder / _ABOUT, about)


def stored_digest(folder: Path) -> str:
    """The digest that ``store`` wrote, which ``parts`` checks. Raises DataError."""
    try:
        return str(json.loads((folder / _ABOUT).read_text())["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder}: no CIFAR-10 there ({error}); make it with python -m training.data"
        ) from None


def parts(folder: Path) -> tuple[Cifar, Cifar]:
    """The stored images, memory-mapped: those to train and those to test. Raises DataError.

    The digest is computed anew: it takes a quarter of a second, and a training on other bytes
    would be worthless.
    """
    wanted = stored_digest(folder)
    try:
        arrays = [np.load(folder / name, mmap_mode="r") for name in _FILES.values()]
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder}: no CIFAR-10 there ({error}); make it with python -m training.data"
        ) from None
    whole = check(Cifar(*arrays), folder)
    if digest(whole) != wanted:
        raise DataError(f"{folder}: its files have changed since they were made; make it anew")
    train, test = (
        Cifar(whole.images[at], whole.labels[at]) for at in (slice(TRAIN), slice(TRAIN, None))
    )
    return train, test


def load(folder: Path, part: str) -> Cifar:
    """The "train" or the "test" part. Raises DataError."""
    return parts(folder)[("train", "test").index(part)]


def limited(part: Cifar, count: int | None) -> Cifar:
    """The first ``count`` images of a part; all of them for None."""
    return Cifar(part.images[:count], part.labels[:count])
