"""Files in and out: sources are memory-mapped, destinations appear whole or not at all.

A process that is killed while it writes leaves ``.weight-port-….tmp`` beside the destination. No
later run removes it: it may be another process's that still writes, and, where two folders can't
change places in one step, the only copy of the old one. It may be deleted by hand.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from weakref import WeakValueDictionary

from weight_port.errors import DestinationError, FormatError
from weight_port.storage import phases

# A mapped file keeps a descriptor open, of which a process may have 256 on some systems; a 1.x
# folder of ResNet-152 has 777 files, 155 of them larger than this.
_WORTH_MAPPING = 1 << 16
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # Linux's fcntl.h and fs.h


# What is mapped now. A second map of a file would cost a second page fault for every page: the
# digest's thread, which is the first to go through a source, makes the faults for the writer too.
_maps: WeakValueDictionary[tuple[int, ...], mmap.mmap] = WeakValueDictionary()


def map_bytes(path: Path) -> memoryview:
    """The file's bytes, read-only and not loaded; raises FormatError where there are none."""
    try:
        with open(path, "rb") as stream:
            status = os.fstat(stream.fileno())
            if status.st_size >= _WORTH_MAPPING:
                return memoryview(_map(stream.fileno(), status))
            data = memoryview(stream.read(status.st_size))
    except OSError as error:
        raise FormatError(f"{path}: can't be read: {error.strerror}") from None
    if not data:
        raise FormatError(f"{path}: the file is empty; get it again")
    return data


def _map(descriptor: int, status: os.stat_result) -> mmap.mmap:
    """The map of an open file; the one that there is, if the file is still the same."""
    key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    mapped = _maps.get(key)
    if mapped is None:
        mapped = _maps[key] = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    return mapped


def check_destination(path: Path, force: bool) -> None:
    """Raises DestinationError where ``path`` exists and may not be replaced, or has no folder."""
    with _reported(path):
        if path.exists() and not force:
            raise DestinationError(f"{path}: exists; pass --force (force=True) to replace it")
        if not path.absolute().parent.is_dir():
            raise DestinationError(f"{path}: the folder {path.absolute().parent} does not exist")


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    """The system's errors as ours."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise DestinationError(f"{path}: can't be written: {reason}") from error


def _temporary(path: Path) -> Path:
    """A new name beside ``path``: to be renamed, a file must be on the same file system."""
    return path.absolute().parent / f".weight-port-{os.urandom(8).hex()}.tmp"


def _sync(descriptor: int) -> None:
    phases.begin(phases.SYNC)
    os.fsync(descriptor)
    phases.begin(phases.WRITE)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def new_file(path: Path, force: bool) -> Iterator[BinaryIO]:
    """A stream whose bytes become ``path`` when the block ends well: written, synced, renamed."""
    check_destination(path, force)
    if path.is_dir():
        raise DestinationError(f"{path}: is a directory; name a file")
    temporary = _temporary(path)
    with _reported(path):
        try:
            with open(temporary, "xb") as stream:
                yield stream
                stream.flush()
                _sync(stream.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(temporary.parent)


def write_text(path: Path, text: str, force: bool = False) -> None:
    """Write ``text`` in UTF-8 as ``new_file`` does. Raises DestinationError."""
    with new_file(path, force) as stream:
        stream.write(text.encode())


def write_json(path: Path, value: Any, force: bool = False) -> None:
    """Write a JSON document as ``new_file`` does. Raises DestinationError, ValueError for NaN."""
    import json  # not needed for tensors

    write_text(path, f"{json.dumps(value, indent=1, allow_nan=False)}\n", force)


def copy_into_place(source: Path, path: Path, force: bool) -> None:
    """Copy a finished file to ``path`` as ``new_file`` writes one."""
    with open(source, "rb") as stream, new_file(path, force) as out:
        shutil.copyfileobj(stream, out)


@contextlib.contextmanager
def new_folder(path: Path, force: bool) -> Iterator[Path]:
    """A folder that becomes ``path`` when the block ends well, in place of an old one."""
    check_destination(path, force)
    if path.exists() and not path.is_dir():
        raise DestinationError(f"{path}: is a file; name a folder")
    temporary = _temporary(path)
    with _reported(path):
        try:
            temporary.mkdir()
            yield temporary
            for file in temporary.iterdir():
                with open(file, "rb") as stream:
                    _sync(stream.fileno())
            _sync_folder(temporary)
            _swap(temporary, path)
        finally:
            _remove(temporary)
        _sync_folder(temporary.parent)


def _swap(new: Path, path: Path) -> None:
    """Put the folder ``new`` in ``path``'s place; what was there is removed, or left as ``new``.

    In one step where the system has one. Elsewhere ``path`` is not there for a moment; killed in
    it, both folders are left, whole, under hidden names.
    """
    if not path.exists():
        new.rename(path)
        return
    if _exchange(new, path):
        return
    aside = _temporary(path)
    path.rename(aside)
    try:
        new.rename(path)
    except BaseException:
        aside.rename(path)
        raise
    _remove(aside)


def _exchange(one: Path, other: Path) -> bool:
    """Let two names change places; False where system or file system can't, or won't.

    ``renameat2`` of Linux 3.15 and glibc 2.28 (https://man7.org/linux/man-pages/man2/rename.2.html).
    """
    if not sys.platform.startswith("linux"):
        return False
    import ctypes  # not needed, and not loaded, for anything else

    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    status: int = call(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)
    )
    return status == 0


def _remove(path: Path) -> None:
    """Remove what is left under a temporary name: nothing, a folder, or a link to one."""
    if path.is_symlink():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)
