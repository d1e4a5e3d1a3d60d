"""What NumPy refuses of an ``.npy`` header is refused here too, and damage in a stored member."""

from __future__ import annotations

import io
import random
import struct
import tokenize
import zipfile
from collections import Counter

import numpy as np
import pytest

import weight_port

DESCRS = ["<f4", "<f8", "<f2", "|b1", "|i1", "|u1", "<i8", "<u2", "<c8", "<V2", ">f4", "|O", "<U3",
          "<f3", "<i3", "<b2", "|f4", "<f04", "<c4", "=f4", "f4", "<f40", "<x4", "<m8", "|S1",
          "|V2", "<i1", "<f0"]  # fmt: skip
SHAPES = ["()", "(2,)", "(2, 3)", "(2,3)", "(6)", "6", "(,)", "(2,, 3)", "(02,)", "(00,)", "(-1,)",
          "(2 3)", "(2.0,)", "[2]", "(True,)", "(0, 4)", "(2, 3, )", "( 2,)", "(2 ,)", "(1,2,3,)",
          "(2L,)", "(99999999999999999999, 0)", "(1, ) ", "None"]  # fmt: skip
FORMS = [
    "{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}",
    "{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}}}",
    "{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, 'more': 1, }}",
    "{{'descr': '{descr}', 'fortran_order': {fortran}, }}",
    "['{descr}', {fortran}, {shape}]",
    "{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, ",
]
VERSIONS = [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (3, 1), (0, 0), (4, 0), (0, 1), (255, 255)]


def generated(seed: int) -> bytes:
    """An ``.npy`` of 24 bytes of data, in most cases with one fault."""
    rng = random.Random(seed)
    parts = {"descr": "<f4", "fortran": "False", "shape": "(2, 3)"}
    version, form, end = rng.choice(VERSIONS[:3]), FORMS[0], "\n"
    fault = rng.choice(
        ["none", "none", "none", "descr", "fortran", "shape", "version", "form", "end", "magic"]
    )
    if fault == "descr":
        parts["descr"] = rng.choice(DESCRS)
    elif fault == "fortran":
        parts["fortran"] = rng.choice(["True", "False", "1", "None", "'True'", "true"])
    elif fault == "shape":
        parts["shape"] = rng.choice(SHAPES)
    elif fault == "version":
        version = rng.choice(VERSIONS)
    elif fault == "form":
        form = rng.choice(FORMS)
    elif fault == "end":
        end = rng.choice(["", " \n", "\n\n", "\0\n", "#\n", "\n" + " " * 9990])
    text = (form.format(**parts) + end).encode("latin1")
    length = struct.pack("<H" if version[0] == 1 else "<I", len(text))
    magic = b"\x93NUMPY" if fault != "magic" else rng.choice([b"\x93NUMPZ", b"NUMPY\x93"])
    count = rng.choice([24] * 12 + [4, 8, 16, 6, 48, 0])
    return magic + bytes(version) + length + text + bytes(range(count))


def archive(data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as written:
        written.writestr("w.npy", data)
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore:Reading `.npy`")  # of Python 2's shapes, (2L,)
def test_what_numpy_refuses_is_refused_and_what_is_read_is_numpys(tmp_path) -> None:
    verdicts: Counter[tuple[bool, bool]] = Counter()
    path = tmp_path / "x.npz"
    for seed in range(3000):
        data = generated(seed)
        try:
            theirs = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
        except (ValueError, OverflowError, SyntaxError, TypeError, tokenize.TokenError):
            theirs = None
        path.write_bytes(archive(data))
        try:
            mine = weight_port.read(path)["w"]
        except weight_port.FormatError:
            mine = None
        verdicts[theirs is None, mine is None] += 1
        assert mine is None or theirs is not None, (seed, data)
        if mine is not None:
            assert mine.tobytes("A") == theirs.tobytes("A"), (seed, data)
            assert (mine.shape, mine.dtype.itemsize) == (theirs.shape, theirs.dtype.itemsize)
    assert verdicts[True, True] > 500
    assert verdicts[False, False] > 500


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_that_numpy_writes_is_read(tmp_path, version: tuple[int, int]) -> None:
    for shape in [(), (3,), (2, 3), (0, 4), (2, 3, 4)]:
        array = np.asarray(np.random.default_rng(0).normal(size=shape), np.float32)
        stream = io.BytesIO()
        np.lib.format.write_array(stream, array, version)
        (tmp_path / "x.npz").write_bytes(archive(stream.getvalue()))
        assert weight_port.read(tmp_path / "x.npz")["w"].tobytes() == array.tobytes()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_bit_that_flips_anywhere_in_the_data_is_seen(tmp_path, save) -> None:
    save(tmp_path / "x.npz", w=np.random.default_rng(0).normal(size=200).astype(np.float32))
    sound = (tmp_path / "x.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "x.npz") as opened:
        (info,) = opened.infolist()
    start = info.header_offset + 30 + sum(struct.unpack("<HH", sound[26:30]))
    assert weight_port.read(tmp_path / "x.npz")["w"].shape == (200,)
    for at in range(start, start + info.compress_size, 7):
        damaged = bytearray(sound)
        damaged[at] ^= 0x10
        (tmp_path / "y.npz").write_bytes(damaged)
        with pytest.raises(weight_port.FormatError, match=r"check sum|damaged data of w\.npy"):
            weight_port.read(tmp_path / "y.npz")


def test_what_is_written_has_its_check_sum(tmp_path) -> None:
    weight_port.write(tmp_path / "x.npz", {"a": np.arange(5.0), "b": np.ones((2, 3), np.float32)})
    with zipfile.ZipFile(tmp_path / "x.npz") as archive_:
        assert archive_.testzip() is None
