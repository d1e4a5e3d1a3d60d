"""``.npz``, against NumPy, and what is no NumPy archive."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import weight_port
from weight_port.formats import npz

DTYPES = ["bool", "int8", "uint8", "int16", "int32", "int64", "uint16", "uint32", "uint64",
          "float16", "float32", "float64", "complex64", "complex128"]  # fmt: skip
ARRAYS = {
    **{dtype: np.arange(6).astype(dtype).reshape(2, 3) for dtype in DTYPES},
    "scalar": np.array(2.5),
    "empty": np.zeros((3, 0, 2), np.float32),
    "fortran": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    "a/b.c": np.arange(3, dtype=np.float32),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_wrote(tmp_path, same_bits, save) -> None:
    save(tmp_path / "x.npz", **ARRAYS)
    same_bits(weight_port.read(tmp_path / "x.npz"), ARRAYS)


def test_numpy_loads_what_we_write(tmp_path, same_bits) -> None:
    bfloat16 = np.arange(4, dtype=np.float32).astype(ml_dtypes.bfloat16)
    weight_port.write(tmp_path / "x.npz", {**ARRAYS, "bf": bfloat16})
    with np.load(tmp_path / "x.npz") as archive:
        loaded = dict(archive)
    # NumPy has no bfloat16: it sees two bytes, as in what it writes itself.
    same_bits({**loaded, "bf": loaded["bf"].view(ml_dtypes.bfloat16)}, {**ARRAYS, "bf": bfloat16})
    np.savez(tmp_path / "theirs.npz", bf=bfloat16)
    same_bits(weight_port.read(tmp_path / "theirs.npz"), {"bf": bfloat16})
    same_bits(weight_port.read(tmp_path / "x.npz"), {**ARRAYS, "bf": bfloat16})


def archive_of(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy(np.array([{}], dtype=object)), "of other than numbers"),
        (npy(np.zeros(2, [("a", "f4"), ("b", "f4")])), "of other than numbers"),
        (npy(np.array(["text"])), "which is no number: refused"),
        (npy(np.zeros(2, ">f4")), "big-endian numbers"),
        (npy(np.zeros(2))[:-1], "in 15 bytes"),
        (npy(np.zeros(2)) + b"x", "in 17 bytes"),
        (b"\x93NUMPY\x01\0\xff\xff{", "a header of 65535 bytes: truncated"),
        (npy(np.zeros(2)).replace(b"(2,)", b"(2**9,)"), "of other than numbers"),
        (b"PNG", "not NumPy's array format"),
    ],
)
def test_a_damaged_or_hostile_array_is_an_error(tmp_path, content: bytes, said: str) -> None:
    path = archive_of(tmp_path / "x.npz", {"w.npy": content})
    with pytest.raises(weight_port.FormatError, match=said.replace("*", r"\*")):
        weight_port.read(path)


def test_a_zip_bomb_is_an_error_before_it_is_unpacked(tmp_path) -> None:
    bomb = npy(np.zeros(40 << 20, np.uint8))
    path = archive_of(tmp_path / "x.npz", {"w.npy": bomb}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(weight_port.FormatError, match="would grow to 41943168: a zip bomb"):
        weight_port.read(path)


def test_a_zip_that_lies_about_its_size_is_an_error(tmp_path) -> None:
    data = npy(np.zeros(1000))
    path = archive_of(tmp_path / "x.npz", {"w.npy": data}, zipfile.ZIP_DEFLATED)
    size, less = struct.pack("<I", len(data)), struct.pack("<I", len(data) - 8)
    path.write_bytes(path.read_bytes().replace(size, less))
    with pytest.raises(weight_port.FormatError, match=r"damaged data of w\.npy; get it again"):
        weight_port.read(path)


def test_other_things_in_the_zip_are_an_error(tmp_path) -> None:
    path = archive_of(tmp_path / "x.npz", {"w.npy": npy(np.zeros(1)), "run.py": b"print()"})
    with pytest.raises(weight_port.FormatError, match=r"holds 'run\.py', which is no \.npy file"):
        weight_port.read(path)


def test_the_header_is_numpys() -> None:
    for array in ARRAYS.values():
        if not array.flags.f_contiguous or array.ndim < 2:
            assert npz._head(array) + array.tobytes() == npy(array)
