"""What has a destination's name is kept, with its permissions, and a source is read whole."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import weight_port
from weight_port import cli
from weight_port.storage import digest, disk, folders, maps, renames

NAMES = ["x.npz", "x.safetensors", "folder"]
TENSORS = {"w": np.arange(50_000, dtype=np.float32), "v": np.arange(3, dtype=np.float64)}


def write(path: Path, appearing: str) -> None:
    """Write without force, and have something appear under the name in the meantime."""
    writer = folders.new_folder if path.suffix == "" else disk.new_file
    with writer(path, force=False):
        if appearing == "file":
            path.write_text("mine")
        elif appearing == "folder":
            path.mkdir()
            (path / "mine").touch()
        else:
            path.symlink_to("nowhere")


@pytest.fixture(params=["renameat2", "elsewhere"])
def system(request, monkeypatch) -> str:
    """With the kernel's rename that replaces nothing, and without it."""
    if request.param == "elsewhere":
        monkeypatch.setattr(renames, "_renameat2", lambda *_: errno.ENOSYS)
    return str(request.param)


@pytest.mark.parametrize("appearing", ["file", "folder", "link"])
@pytest.mark.parametrize("name", ["x.npz", "folder"])
def test_what_appears_meanwhile_is_kept(tmp_path, system, name: str, appearing: str) -> None:
    with pytest.raises(weight_port.DestinationError, match=r"appeared while .* is kept"):
        write(tmp_path / name, appearing)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    path = tmp_path / name
    assert path.is_symlink() == (appearing == "link")
    if appearing == "file":
        assert path.read_text() == "mine"
    if appearing == "folder":
        assert (path / "mine").exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_new_name_needs_no_such_system(tmp_path, system, same_bits, name: str) -> None:
    weight_port.write(tmp_path / name, TENSORS)
    same_bits(weight_port.read(tmp_path / name), TENSORS)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_plain_rename_would_be_seen(tmp_path, monkeypatch) -> None:
    """The mutation: what these tests say is kept, ``os.replace`` loses."""
    monkeypatch.setattr(disk, "move_new", os.replace)
    write(tmp_path / "x.npz", "file")
    assert (tmp_path / "x.npz").read_bytes() != b"mine"


@pytest.mark.parametrize("name", NAMES)
def test_a_link_to_nowhere_is_a_destination(tmp_path, same_bits, name: str) -> None:
    (tmp_path / name).symlink_to("nowhere")
    with pytest.raises(weight_port.DestinationError, match="exists; pass --force"):
        weight_port.write(tmp_path / name, TENSORS)
    assert os.readlink(tmp_path / name) == "nowhere"
    weight_port.write(tmp_path / name, TENSORS, force=True)
    same_bits(weight_port.read(tmp_path / name), TENSORS)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_what_replaces_a_file_has_its_permissions(tmp_path, mode: int) -> None:
    path = tmp_path / "x.npz"
    path.touch()
    path.chmod(mode)
    weight_port.write(path, TENSORS, force=True)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize(("folder", "file"), [(0o700, 0o600), (0o750, 0o640), (0o755, 0o644)])
def test_what_replaces_a_folder_has_its_permissions(tmp_path, folder: int, file: int) -> None:
    path = tmp_path / "folder"
    weight_port.write(path, {"w": np.ones(3)})
    (path / "w").chmod(file)
    path.chmod(folder)
    weight_port.write(path, TENSORS, force=True)
    assert stat.S_IMODE(path.stat().st_mode) == folder
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in path.iterdir()} == {file}


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_file_is_not_replaced(tmp_path, monkeypatch, name: str, kind: str) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    if kind == "pipe":
        os.mkfifo(name)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(name)
    else:
        os.symlink(os.devnull, name)
    with pytest.raises(weight_port.DestinationError, match="a pipe, socket or device"):
        weight_port.write(name, TENSORS, force=True)
    assert os.listdir() == [name]


def test_a_pipe_is_no_source(tmp_path) -> None:
    os.mkfifo(tmp_path / "x.npz")
    with pytest.raises(weight_port.FormatError, match="neither a file nor a folder"):
        maps.map_bytes(tmp_path / "x.npz")


@pytest.mark.parametrize("name", ["in.npz", "deeper", "../net/in.safetensors"])
def test_a_destination_in_the_source_is_refused(tmp_path, capsys, name: str) -> None:
    weight_port.write(tmp_path / "net", TENSORS)
    before = sorted((tmp_path / "net").iterdir())
    for arguments in (["net", f"net/{name}"], ["net", "--out-dir", "net", "--format", "npz"]):
        located = [str(tmp_path / a) if a.startswith("net") else a for a in arguments]
        assert cli.main(["convert", *located, "--to", "raw", "--force"]) == 2
        assert "which is read as a whole; name a place outside of it" in capsys.readouterr().err
    assert sorted((tmp_path / "net").iterdir()) == before


def test_on_a_folder_swap_the_names_are_synced_before_the_old_files_go(
    tmp_path, monkeypatch
) -> None:
    weight_port.write(tmp_path / "net", TENSORS)
    steps: list[str] = []
    sync, remove = folders.sync_folder, folders._remove
    monkeypatch.setattr(folders, "sync_folder", lambda path: (steps.append(path.name), sync(path)))
    monkeypatch.setattr(folders, "_remove", lambda path: (steps.append("remove"), remove(path)))
    weight_port.write(tmp_path / "net", {"w": np.ones(3)}, force=True)
    assert steps[-2:] == [tmp_path.name, "remove"]


# -- sources that shrink


def test_a_source_that_shrinks_is_an_error_and_no_file(tmp_path, monkeypatch) -> None:
    weight_port.write(tmp_path / "a.npz", TENSORS)

    def write_half(*arguments, **named) -> None:
        with disk.new_file(tmp_path / "b.npz", force=False) as stream:
            stream.write(b"half")
            os.truncate(tmp_path / "a.npz", 1000)

    monkeypatch.setattr("weight_port.formats.npz.write", write_half)
    with pytest.raises(weight_port.FormatError, match=r"a\.npz: became shorter .* 1000 bytes of"):
        weight_port.convert_file(tmp_path / "a.npz", tmp_path / "b.npz", "raw")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]


def test_the_digest_of_a_file_that_shrinks_is_an_error(tmp_path, monkeypatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(3 * digest._PIECE))

    class Shrinking:
        def update(self, data: bytes) -> None:
            os.truncate(path, 1000)

    monkeypatch.setattr(digest.hashlib, "sha256", Shrinking)
    with pytest.raises(weight_port.FormatError, match="became shorter while it was read"):
        digest.Digest(path).result()


def test_inspect_loads_no_ctypes_of_its_own(tmp_path) -> None:
    """A small file is looked at in the time that the interpreter takes."""
    code = (
        "import sys, weight_port.storage.disk, weight_port.storage.digest as d; print(*sys.modules)"
    )
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "weight_port.storage.renames" in modules.split()
    assert "ctypes" not in modules.split()
