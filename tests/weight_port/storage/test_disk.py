"""Destinations appear whole or not at all, and what was there stays unless it is to go."""

from __future__ import annotations

import contextlib
import mmap
import os
import resource
import signal
import stat
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import weight_port
from weight_port.formats import files, paddle1
from weight_port.formats import table as formats
from weight_port.storage import disk, folders, maps

FILES = ["x.pdparams", "x.safetensors", "x.pth", "folder"]
TENSORS = {"w": np.arange(50_000, dtype=np.float32), "v": np.arange(3, dtype=np.float64)}


def snapshot(path: Path) -> dict[str, bytes]:
    """Every file below a folder by its relative name, hidden ones too."""
    found = [file for file in path.rglob("*") if file.is_file()]
    return {str(file.relative_to(path)): file.read_bytes() for file in found}


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Files may not grow past ``size`` bytes: a full disk, as far as a writer can tell."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture(params=FILES)
def old(request, tmp_path) -> Path:
    """A destination that is there already, with other weights in it."""
    path = tmp_path / request.param
    weight_port.write(path, {"old": np.ones(3, np.float32)})
    return path


def test_an_existing_destination_is_kept_unless_forced(tmp_path, same_bits, old) -> None:
    before = snapshot(tmp_path)
    with pytest.raises(weight_port.DestinationError, match="exists; pass --force") as raised:
        weight_port.write(old, TENSORS)
    assert str(raised.value).startswith(f"{old}: ")
    assert snapshot(tmp_path) == before
    weight_port.write(old, TENSORS, force=True)
    same_bits(weight_port.read(old), TENSORS)
    assert [file.name for file in tmp_path.iterdir()] == [old.name]


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_a_new_destination_leaves_nothing_else(tmp_path, same_bits, name: str, force: bool) -> None:
    weight_port.write(tmp_path / name, TENSORS, force=force)
    same_bits(weight_port.read(tmp_path / name), TENSORS)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_full_disk_leaves_the_old_and_nothing_else(tmp_path, old) -> None:
    before = snapshot(tmp_path)
    with (
        largest_file(100_000),
        pytest.raises(weight_port.DestinationError, match="can't be written: File too large"),
    ):
        weight_port.write(old, TENSORS, force=True)
    assert snapshot(tmp_path) == before
    assert [file.name for file in tmp_path.iterdir()] == [old.name]
    with largest_file(1_000_000):  # the limit alone does not make it fail
        weight_port.write(old, TENSORS, force=True)


@pytest.mark.parametrize("name", FILES)
def test_a_full_disk_leaves_no_new_destination(tmp_path, name: str) -> None:
    with largest_file(100_000), pytest.raises(weight_port.DestinationError, match=name):
        weight_port.write(tmp_path / name, TENSORS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", ["fsync", "replace", "rename"])
def test_a_failing_system_call_leaves_the_old_and_nothing_else(
    tmp_path, monkeypatch, old, call: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders, "exchange", lambda one, other: False)
    used = {"fsync"} | ({"rename"} if old.name == "folder" else {"replace"})
    before = snapshot(tmp_path)
    monkeypatch.setattr(os, call, fail)
    if call in used:
        with pytest.raises(weight_port.DestinationError, match="No space left on device"):
            weight_port.write(old, TENSORS, force=True)
        monkeypatch.undo()
        assert snapshot(tmp_path) == before
        assert [file.name for file in tmp_path.iterdir()] == [old.name]
    else:
        weight_port.write(old, TENSORS, force=True)


def test_a_failure_between_the_two_renames_puts_the_old_folder_back(tmp_path, monkeypatch) -> None:
    weight_port.write(tmp_path / "folder", {"old": np.ones(3)})
    before, rename, calls = snapshot(tmp_path), os.rename, []

    def second_fails(source, target) -> None:
        calls.append((source, target))
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(folders, "exchange", lambda one, other: False)
    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(weight_port.DestinationError, match="Input/output error"):
        weight_port.write(tmp_path / "folder", TENSORS, force=True)
    assert len(calls) == 3
    assert snapshot(tmp_path) == before
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


def test_two_folders_change_places_in_one_step(tmp_path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert folders.exchange(tmp_path / "a", tmp_path / "b")
    assert [file.name for file in tmp_path.glob("a/*")] == ["b"]
    assert [file.name for file in tmp_path.glob("b/*")] == ["a"]
    assert not folders.exchange(tmp_path / "a", tmp_path / "none")


@pytest.mark.parametrize("exchange", [True, False])
def test_a_link_to_a_folder_is_replaced_and_the_folder_stays(
    tmp_path, monkeypatch, same_bits, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(folders, "exchange", lambda one, other: False)
    (tmp_path / "out").mkdir()
    weight_port.write(tmp_path / "mine", {"old": np.ones(3)})
    (tmp_path / "out" / "net").symlink_to(tmp_path / "mine")
    weight_port.write(tmp_path / "out" / "net", TENSORS, force=True)
    same_bits(weight_port.read(tmp_path / "out" / "net"), TENSORS)
    same_bits(weight_port.read(tmp_path / "mine"), {"old": np.ones(3)})
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["net"]
    assert not (tmp_path / "out" / "net").is_symlink()


@pytest.mark.parametrize("name", FILES)
def test_a_name_that_no_file_can_hold_is_an_error(tmp_path, name: str) -> None:
    for key in ("half a character \ud800", "k" * 70_000):
        with pytest.raises(weight_port.DestinationError, match="a name"):
            weight_port.write(tmp_path / name, {key: np.zeros(3)})
    assert not list(tmp_path.iterdir())
    with pytest.raises(weight_port.DestinationError, match="no names with NUL"):
        weight_port.write(tmp_path / "x.npz", {"a\0b": np.zeros(3)})


def write_half(path: Path, error: type[BaseException]) -> None:
    if path.name == "folder":
        with folders.new_folder(path, force=True) as folder:
            (folder / "half").write_bytes(b"half")
            raise error
    with disk.new_file(path, force=True) as stream:
        stream.write(b"half")
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interrupted_writer_leaves_the_old_and_nothing_else(tmp_path, old, error) -> None:
    before = snapshot(tmp_path)
    with pytest.raises(error):
        write_half(old, error)
    assert snapshot(tmp_path) == before
    assert [file.name for file in tmp_path.iterdir()] == [old.name]


def test_while_it_is_written_the_old_is_there_and_whole(tmp_path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    with disk.new_file(path, force=True) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_a_source_may_be_replaced_by_its_own_conversion(tmp_path, same_bits, fake) -> None:
    tensors = fake("torchvision", "resnet18")
    weight_port.write(tmp_path / "x.pth", tensors)
    weight_port.convert_file(tmp_path / "x.pth", tmp_path / "x.pth", "pytorch_impl", force=True)
    same_bits(weight_port.read(tmp_path / "x.pth"), weight_port.convert(tensors, to="pytorch_impl"))


def test_copy_into_place(tmp_path) -> None:
    (tmp_path / "a").write_bytes(b"new")
    disk.copy_into_place(tmp_path / "a", tmp_path / "b", force=False)
    assert (tmp_path / "b").read_bytes() == b"new"
    with pytest.raises(weight_port.DestinationError, match="exists; pass --force"):
        disk.copy_into_place(tmp_path / "a", tmp_path / "b", force=False)


@pytest.mark.parametrize("name", FILES)
def test_permissions_are_those_of_any_new_file(tmp_path, name: str) -> None:
    mask = os.umask(0o027)
    try:
        weight_port.write(tmp_path / name, TENSORS)
    finally:
        os.umask(mask)
    wanted = 0o750 if name == "folder" else 0o640
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == wanted


# -- destinations that can't be


def test_a_destination_without_a_folder_is_an_error(tmp_path) -> None:
    with pytest.raises(weight_port.DestinationError, match=r"the folder .*/none does not exist"):
        weight_port.write(tmp_path / "none" / "x.pth", TENSORS)


def test_a_suffix_without_a_format_is_an_error_that_lists_them(tmp_path) -> None:
    said = (
        r"no format has the suffix \.onnx: one of \.pdparams, .*, \.pth, \.pt, \.npz, or no suffix"
    )
    with pytest.raises(weight_port.DestinationError, match=said):
        weight_port.write(tmp_path / "x.onnx", TENSORS)


def test_a_file_is_not_replaced_by_a_folder(tmp_path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(weight_port.DestinationError, match="is a file; name a folder"):
        weight_port.write(tmp_path / "notes", TENSORS, force=True)
    assert (tmp_path / "notes").read_text() == "mine"


def test_a_folder_is_not_replaced_by_a_file(tmp_path) -> None:
    (tmp_path / "notes").mkdir()
    with (
        pytest.raises(weight_port.DestinationError, match="is a directory; name a file"),
        disk.new_file(tmp_path / "notes", force=True),
    ):
        pytest.fail("a stream was given")


@pytest.mark.parametrize("kind", ["text", "folder", "link"])
def test_a_folder_of_other_things_is_not_replaced_even_by_force(tmp_path, kind: str) -> None:
    home = tmp_path / "home"
    weight_port.write(home, {"w": np.zeros(3)})
    if kind == "text":
        (home / "letter.txt").write_text("dear all")
    elif kind == "folder":
        (home / "photos").mkdir()
    else:
        (home / "link").symlink_to(home / "w")
    before = snapshot(tmp_path)
    said = "not replaced, since it holds other things than Paddle variable files"
    with pytest.raises(weight_port.DestinationError, match=said):
        weight_port.write(home, TENSORS, force=True)
    assert snapshot(tmp_path) == before


def test_an_empty_folder_is_replaced_by_force_only(tmp_path, same_bits) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(weight_port.DestinationError, match="exists; pass --force"):
        weight_port.write(tmp_path / "empty", TENSORS)
    weight_port.write(tmp_path / "empty", TENSORS, force=True)
    same_bits(weight_port.read(tmp_path / "empty"), TENSORS)


@pytest.mark.parametrize("name", ["a" * 251 + ".pth", "a" * 255])
def test_the_longest_names_can_be_written(tmp_path, same_bits, name: str) -> None:
    weight_port.write(tmp_path / name, TENSORS)
    same_bits(weight_port.read(tmp_path / name), TENSORS)
    with pytest.raises(weight_port.DestinationError, match="File name too long"):
        weight_port.write(tmp_path / f"a{name}", TENSORS)


def test_nothing_is_written_where_a_check_fails(tmp_path, fake) -> None:
    tensors = fake("torchvision", "resnet18")
    del tensors["layer2.0.bn1.weight"]
    weight_port.write(tmp_path / "x.pth", tensors)
    with pytest.raises(weight_port.MismatchError):
        weight_port.convert_file(tmp_path / "x.pth", tmp_path / "y.pdparams", "paddle1")
    with pytest.raises(weight_port.DestinationError, match=r"a folder holds Paddle 1\.x variable"):
        weight_port.convert_file(tmp_path / "x.pth", tmp_path / "y", "torchvision")
    assert [file.name for file in tmp_path.iterdir()] == ["x.pth"]


# -- what is not copied


def test_sources_are_mapped_and_not_loaded(tmp_path) -> None:
    for name in FILES:
        weight_port.write(tmp_path / name, TENSORS)
        array = weight_port.read(tmp_path / name)["w"]
        assert not array.flags.writeable
        base = array
        while isinstance(base, np.ndarray):
            base = base.base
        owner = base.obj if isinstance(base, memoryview) else base
        assert isinstance(owner, mmap.mmap), name


def test_writers_hold_no_copy_of_the_tensors(tmp_path) -> None:
    tensors = {f"w{n}": np.zeros(1_000_000, np.float32) for n in range(8)}
    for name in FILES:
        weight_port.write(tmp_path / name, TENSORS)  # so that what is imported late is there
        tracemalloc.start()
        weight_port.write(tmp_path / name, tensors, force=True)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000, name


def test_the_tables_agree() -> None:
    assert set(files._MODULES) == set(formats.FORMATS.values())
    for row in formats.FORMATS.values():
        assert callable(files._module(files._MODULES[row]).read), row.name
    assert paddle1.DTYPES[5] == "float32"


# -- sources that can't be


def test_what_cannot_be_mapped_is_an_error_with_the_reason(tmp_path) -> None:
    with pytest.raises(weight_port.FormatError, match="can't be read: Is a directory"):
        maps.map_bytes(tmp_path)
    with pytest.raises(weight_port.FormatError, match="can't be read: No such file or directory"):
        maps.map_bytes(tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(weight_port.FormatError, match="the file is empty; get it again"):
        maps.map_bytes(tmp_path / "empty")
