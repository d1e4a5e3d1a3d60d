"""What of a file is in memory: conversions hold no copy of it, ``inspect`` reads no tensor."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import weight_port
from benchmarks.harness.processes import peak_anonymous
from weight_port import recognise
from weight_port.formats import files
from weight_port.formats.contents import Contents
from weight_port.pickles import reader
from weight_port.storage import digest, maps
from weight_port.storage.scratch import Scratch

MEGABYTE = 1_000_000


def big(count: int, values: int = 1 << 20) -> dict[str, np.ndarray]:
    """``count`` float32 tensors of ``values`` values and any bytes; 4 MiB each unless told."""
    random = np.random.default_rng(0)
    return {f"w{n}": random.standard_normal(values).astype(np.float32) for n in range(count)}


def save_protocol_2(path: Path, tensors: dict[str, np.ndarray]) -> None:
    path.write_bytes(pickle.dumps({k: (k, a) for k, a in tensors.items()}, protocol=2))


def save_legacy(path: Path, tensors: dict[str, np.ndarray]) -> None:
    state = {key: torch.from_numpy(array) for key, array in tensors.items()}
    torch.save(state, path, _use_new_zipfile_serialization=False)


def save_shards(path: Path, tensors: dict[str, np.ndarray]) -> None:
    shard = path.with_name("shard.safetensors")
    weight_port.write(shard, tensors)
    path.write_text(json.dumps({"weight_map": dict.fromkeys(tensors, shard.name)}))


def save(path: Path, tensors: dict[str, np.ndarray]) -> Path:
    """Write a file of any kind that is read; its name says which."""
    others = {
        "protocol2.pdparams": save_protocol_2,
        "legacy.pth": save_legacy,
        "x.safetensors.index.json": save_shards,
    }
    others.get(path.name, weight_port.write)(path, tensors)
    return path


# -- conversions


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("protocol2.pdparams", "y.safetensors"),
        ("x.pdparams", "y.npz"),
        ("legacy.pth", "y.pth"),
        ("x.safetensors", "y.pdparams"),
    ],
)
def test_a_conversion_holds_a_few_tensors_at_a_time(tmp_path, source, destination) -> None:
    """The whole table, of every pair of formats, is measured by ``python -m benchmarks port``."""
    tensors = big(24)
    path = save(tmp_path / source, tensors)
    ours = [str(path), str(tmp_path / destination), "--to", "raw"]
    command = [sys.executable, "-m", "weight_port", "convert", *ours]
    peak, looks = peak_anonymous(command, os.environ)
    assert 10 * MEGABYTE < peak < 60 * MEGABYTE < sum(a.nbytes for a in tensors.values())
    assert looks > 10
    converted = weight_port.read(tmp_path / destination)
    assert all(np.array_equal(converted[key], array) for key, array in tensors.items())


def test_the_measure_sees_memory_that_is_held() -> None:
    hold = "import time; x = bytearray(b'1') * 80_000_000; time.sleep(0.2)"
    peak, _ = peak_anonymous([sys.executable, "-c", hold], os.environ)
    assert peak > 80 * MEGABYTE


def test_a_text_that_is_no_latin1_or_too_long_for_its_file_is_damage(tmp_path) -> None:
    good = pickle.dumps({"w": ("w", big(1, 1 << 15)["w0"])}, protocol=2)
    bad = good.replace(b"\xc3", b"\xc4")  # the letters above U+00FF
    assert bad != good
    (tmp_path / "x.pdparams").write_bytes(bad)
    with pytest.raises(weight_port.FormatError, match=r"damaged pickle at byte .*latin-1"):
        weight_port.read(tmp_path / "x.pdparams")
    with Scratch(10) as scratch:
        assert bytes(scratch.put([b"12345", b"67"])) == b"1234567"
        with pytest.raises(ValueError, match="more bytes than it has"):
            scratch.put([b"12345"])


def test_a_full_temporary_folder_is_an_error_with_the_way_out(tmp_path, monkeypatch) -> None:
    save(tmp_path / "protocol2.pdparams", big(1))

    def full(*_: object) -> memoryview:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Scratch, "put", full)
    with pytest.raises(weight_port.FormatError, match="No space left on device; set TMPDIR"):
        weight_port.read(tmp_path / "protocol2.pdparams")


def test_a_long_text_is_no_key_of_a_dict() -> None:
    text = "k" * (1 << 17)
    data = memoryview(pickle.dumps({text: 1}, protocol=2))
    with pytest.raises(weight_port.FormatError, match="a LongText as a key"):
        reader.Reader(data, {}, "x").read()


# -- one map


def test_a_file_is_mapped_once_until_it_changes(tmp_path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(1 << 17))
    first, second = maps.map_bytes(path), maps.map_bytes(path)
    assert first.obj is second.obj
    (tmp_path / "new").write_bytes(b"1" * (1 << 17))
    os.replace(tmp_path / "new", path)
    assert maps.map_bytes(path).obj is not first.obj
    assert (first[0], maps.map_bytes(path)[0]) == (0, ord("1"))


def test_the_digest_and_the_reader_share_it(tmp_path) -> None:
    path = save(tmp_path / "x.pdparams", big(1))
    started = digest.Digest(path)
    assert len(started.result()) == digest.Digest.length
    path.unlink()
    with pytest.raises(weight_port.FormatError, match="can't be read: No such file"):
        digest.Digest(path).result()


# -- inspect


def resident(path: Path) -> int:
    """Bytes of a file that are in this process' memory: proc_pid_smaps(5)."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    found = 0
    for line in lines:
        if line.endswith(str(path)):
            rss = next(line for line in lines if line.startswith("Rss:"))
            found += int(rss.split()[1]) * 1024
    return found


def look(path: Path) -> Contents:
    """Open a file, which stays mapped, and see what it is."""
    contents = files.open_checkpoint(path).contents
    with contextlib.suppress(weight_port.DialectError):
        recognise(contents)
    return contents


MAPPED = ["x.pdparams", "x.safetensors", "x.pth", "legacy.pth", "x.npz", "x.pdiparams", "folder"]


# The check sums of an archive of NumPy's are compared: all of it is read.
UNREAD = [name for name in MAPPED if name != "x.npz"]


@pytest.mark.parametrize("name", [*UNREAD, "x.safetensors.index.json"])
def test_opening_and_recognising_reads_no_tensor(name: str, tmp_path) -> None:
    """A touched page brings fifteen neighbours with it; the tensors are 4 MiB each."""
    path = save(tmp_path / name, big(1) if name == "x.pdiparams" else big(4))
    mapped = {"folder": path / "w0", "x.safetensors.index.json": tmp_path / "shard.safetensors"}
    file = mapped.get(name, path)
    contents = look(path)
    assert 0 < resident(file) < file.stat().st_size / 4
    for array in contents.tensors.values():
        array.sum()
    assert resident(file) > file.stat().st_size * 0.9  # the measure sees what is read


def test_recognising_reads_a_network_s_names_alone(tmp_path, fake) -> None:
    path = tmp_path / "x.safetensors"
    weight_port.write(path, fake("torchvision", "resnet34"))
    contents = look(path)
    assert len(contents.tensors) > 200
    assert 0 < resident(path) < path.stat().st_size / 10
