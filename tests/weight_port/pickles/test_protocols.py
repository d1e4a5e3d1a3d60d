"""Every pickle protocol, and Python 2's own spelling, gives the same tensors."""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import weight_port
from weight_port.formats.files import open_checkpoint

TENSORS = {
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
    "turned": np.arange(24, dtype=np.int16).reshape(2, 3, 4).transpose(1, 0, 2),
    "long": np.linspace(-1, 1, 40_000, dtype=np.float32),
    "bytes": np.frombuffer(bytes(range(256)), np.uint8),
    "number": np.array(7),
    "empty": np.zeros((0, 3), np.float16),
}


class Python2(pickle._Pickler):
    """str and bytes as one type, as Python 2 had them: SHORT_BINSTRING, BINSTRING, STRING."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def _save_old(self, value: str | bytes) -> None:
        raw = value if isinstance(value, bytes) else value.encode()
        if self.proto == 0:
            quoted = repr(raw)[1:].encode()
            self.write(b"S" + quoted + b"\n")
        elif len(raw) < 256:
            self.write(b"U" + bytes([len(raw)]) + raw)
        else:
            self.write(b"T" + struct.pack("<i", len(raw)) + raw)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = _save_old


def same(path: Path, wanted: dict[str, np.ndarray]) -> None:
    tensors = weight_port.read(path)
    assert list(tensors) == list(wanted)
    for name, array in wanted.items():
        assert tensors[name].dtype == array.dtype
        assert tensors[name].shape == array.shape
        assert tensors[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("make", [dict, OrderedDict])
@pytest.mark.parametrize("protocol", range(6))
def test_protocols(tmp_path, protocol: int, make) -> None:
    path = tmp_path / "x.pdparams"
    path.write_bytes(pickle.dumps(make(TENSORS), protocol=protocol))
    same(path, TENSORS)


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_python_2(tmp_path, protocol: int) -> None:
    path = tmp_path / "x.pdparams"
    with open(path, "wb") as stream:
        Python2(stream, protocol).dump({**TENSORS, "größe": TENSORS["matrix"]})
    same(path, {**TENSORS, "größe": TENSORS["matrix"]})


def test_numpy_scalars_stand_beside_tensors(tmp_path) -> None:
    path = tmp_path / "x.pdparams"
    beside = {
        "best": np.float64(0.5),
        "when": np.datetime64("2026-01-01"),
        "names": np.array(["a"]),
    }
    path.write_bytes(pickle.dumps({"w": TENSORS["matrix"], **beside}, protocol=4))
    contents = open_checkpoint(path).contents
    assert list(contents.tensors) == ["w"]
    assert contents.notes[0].startswith("left out 3 that are no tensors: 'best' (float)")


def test_bytes_outside_of_the_pickle_are_an_error(tmp_path) -> None:
    path, buffers = tmp_path / "x.pdparams", []
    path.write_bytes(pickle.dumps(TENSORS, protocol=5, buffer_callback=buffers.append))
    assert buffers
    with pytest.raises(weight_port.FormatError, match="outside of the pickle"):
        weight_port.read(path)
