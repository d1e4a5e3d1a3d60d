"""HDF5 as h5py writes it, and what a file must not lead a reader to."""

from __future__ import annotations

import random
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import weight_port
from weight_port.errors import WeightPortError
from weight_port.formats import files

RANDOM = np.random.default_rng(2)
DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")
FILTERS = {
    "none": {},
    "deflated": {"compression": "gzip"},
    "all": {"compression": 9, "shuffle": True, "fletcher32": True},
    "shuffled": {"shuffle": True},
}


def drawn(dtype: str, shape: tuple[int, ...] = (7, 5, 3)) -> np.ndarray:
    numbers = RANDOM.normal(0, 50, shape)
    return (np.abs(numbers) if dtype[0] == "u" else numbers).astype(dtype)


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(tmp_path, same_bits, dtype: str, libver: str) -> None:
    tensors = {"layer/w": drawn(dtype), "layer/one": drawn(dtype, ()), "n": drawn(dtype, (0, 3))}
    with h5py.File(tmp_path / "x.h5", "w", libver=libver) as file:
        for name, array in tensors.items():
            file[name] = array
    same_bits(weight_port.read(tmp_path / "x.h5"), tensors)


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("dtype", ["f4", "i8", "u1"])
def test_chunks(tmp_path, same_bits, dtype: str, filters: str) -> None:
    tensors = {"w": drawn(dtype, (70, 53, 3)), "v": drawn(dtype, (900, 700))}
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name, array in tensors.items():
            chunks = (16, 20, 2)[: array.ndim]
            file.create_dataset(name, data=array, chunks=chunks, **FILTERS[filters])
    same_bits(weight_port.read(tmp_path / "x.h5"), tensors)


def test_many_members_and_attributes(tmp_path, same_bits) -> None:
    tensors = {f"layer_{n}/kernel": np.full(3, n, np.float32) for n in range(500)}
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["text"] = "x" * 5000
        for name, array in tensors.items():
            file[name] = array
            file[name].attrs["n"] = 7
    same_bits(weight_port.read(tmp_path / "x.h5"), tensors)


def test_caffes_snapshot(tmp_path, fake, same_bits) -> None:
    """``Net::ToHDF5``: blobs by layer and number in ``data``, gradients in ``diff``."""
    tensors = fake("caffe", "resnet50_caffe")
    with h5py.File(tmp_path / "x.caffemodel.h5", "w") as file:
        for name, array in tensors.items():
            file[f"data/{name}"] = array
        file["diff/conv1/0"] = np.zeros(3)
    contents = files.open_checkpoint(tmp_path / "x.caffemodel.h5").contents
    same_bits(contents.tensors, tensors)
    assert contents.notes == ("left out beside the weights: diff (1 tensors)",)


def test_what_leads_out_of_the_file_is_not_followed(tmp_path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["w"] = np.ones(3)
    for libver in ("earliest", "latest"):
        with h5py.File(tmp_path / "x.h5", "w", libver=libver) as file:
            file["v"] = np.zeros(3)
            file["out"] = h5py.ExternalLink("secret.h5", "/w")
            file["soft"] = h5py.SoftLink("/v")
        contents = files.open_checkpoint(tmp_path / "x.h5").contents
        assert list(contents.tensors) == ["v"]
        assert contents.notes == ("left out 2 links, which are not followed",)


def test_data_in_other_files_are_refused(tmp_path) -> None:
    np.ones(100).tofile(tmp_path / "raw")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("w", (100,), "f8", external=[(str(tmp_path / "raw"), 0, 800)])
    with pytest.raises(weight_port.FormatError, match="an array's data stand in another file"):
        weight_port.read(tmp_path / "x.h5")
    layout = h5py.VirtualLayout((100,), "f8")
    layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "w", (100,))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_virtual_dataset("w", layout)
    with pytest.raises(weight_port.FormatError, match="a virtual dataset, whose data stand in oth"):
        weight_port.read(tmp_path / "x.h5")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"compression": "lzf"}, "HDF5's filter 32000, which is not read; copy it"),
        ({"dtype": ">f4"}, "big-endian numbers"),
    ],
)
def test_what_is_not_read(tmp_path, options, said: str) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("w", data=np.zeros((30, 40), np.float32), **options)
    with pytest.raises(weight_port.FormatError, match=said):
        weight_port.read(tmp_path / "x.h5")


def test_the_latest_formats_indexes_are_named(tmp_path) -> None:
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        for n in range(20):
            file[str(n)] = np.zeros(3)
    with pytest.raises(weight_port.FormatError, match="an index of HDF5's latest format: copy it"):
        weight_port.read(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        file.create_dataset("w", data=np.zeros((30, 40)), chunks=(10, 10))
    with pytest.raises(weight_port.FormatError, match="layout 4 of HDF5, which is not read: copy"):
        weight_port.read(tmp_path / "x.h5")


def test_other_things_are_left_out(tmp_path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["text"], file["w"] = "hello", np.zeros(3)
        file["record"] = np.zeros(3, [("a", "f4"), ("b", "i4")])
    contents = files.open_checkpoint(tmp_path / "x.h5").contents
    assert list(contents.tensors) == ["w"]
    assert contents.notes == ("left out 2 arrays that are no numbers",)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["text"] = "hello"
    with pytest.raises(weight_port.FormatError, match="without arrays of numbers"):
        weight_port.read(tmp_path / "x.h5")


def test_how_many_bytes_a_truncated_file_lacks(tmp_path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["w"] = np.zeros(10_000)
    whole = (tmp_path / "x.h5").read_bytes()
    (tmp_path / "x.h5").write_bytes(whole[:-1000])
    with pytest.raises(weight_port.FormatError, match=f"1000 bytes of {len(whole)} are missing"):
        weight_port.read(tmp_path / "x.h5")


def test_a_bomb_of_zeros(tmp_path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("w", (1 << 14, 1 << 14), "f4", chunks=(1 << 10, 1 << 10), compression=9)
        file["w"][0, 0] = 1
    with pytest.raises(weight_port.FormatError, match="far more than the file has bytes"):
        weight_port.read(tmp_path / "x.h5")


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("h5") / "x.h5"
    with h5py.File(path, "w") as file:
        for n in range(12):
            group = file.create_group(f"layers/conv2d_{n}/vars")
            group.attrs["name"] = f"conv{n}"
            group["0"] = drawn("f4")
            group.create_dataset("1", data=drawn("f4"), chunks=(2, 2, 2), compression=1)
    return path.read_bytes()


@pytest.mark.parametrize("seed", range(4))
def test_changed_bytes_are_read_or_refused_at_once(tmp_path: Path, sound, seed: int) -> None:
    """What made libhdf5 run without end: bytes changed at random, most of them in the headers."""
    chance = random.Random(seed)
    path = tmp_path / "x.h5"
    for _ in range(150):
        data = bytearray(sound)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(data) if chance.random() < 0.5 else 4000)
            data[at : at + chance.randint(0, 8)] = chance.randbytes(chance.randint(0, 8))
        path.write_bytes(data)
        start = time.process_time()
        try:
            assert all(isinstance(a, np.ndarray) for a in weight_port.read(path).values())
        except WeightPortError as error:
            assert str(error).startswith(str(path))  # noqa: PT017 (either outcome is right)
        assert time.process_time() - start < 2
