"""Files in and out: sources are memory-mapped, destinations appear whole or not at all."""

from __future__ import annotations

import contextlib
import mmap
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from weight_port.errors import DestinationError, FormatError

# A mapped file keeps a descriptor open, of which a process may have 256 on some systems; a 1.x
# folder of ResNet-152 has 777 files, 155 of them larger than this.
_WORTH_MAPPING = 1 << 16


def map_bytes(path: Path) -> memoryview:
    """The file's bytes, read-only and not loaded; raises FormatError where there are none."""
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size >= _WORTH_MAPPING:
                return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
            data = memoryview(stream.read(size))
    except OSError as error:
        raise FormatError(f"{path}: can't be read: {error.strerror}") from None
    if not data:
        raise FormatError(f"{path}: the file is empty; get it again")
    return data


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
    return path.absolute().parent / f".weight-port-{secrets.token_hex(8)}.tmp"


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
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
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(temporary.parent)


def copy_into_place(source: Path, path: Path, force: bool) -> None:
    """Copy a finished file to ``path`` as ``new_file`` writes one."""
    with open(source, "rb") as stream, new_file(path, force) as out:
        shutil.copyfileobj(stream, out)


@contextlib.contextmanager
def new_folder(path: Path, force: bool) -> Iterator[Path]:
    """A folder that becomes ``path`` when the block ends well; an old one is set aside first."""
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
                    os.fsync(stream.fileno())
            _sync_folder(temporary)
            _swap(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        _sync_folder(temporary.parent)


def _swap(new: Path, path: Path) -> None:
    """Put the folder ``new`` in ``path``'s place, and what was there in ``new``'s."""
    if not path.exists():
        new.rename(path)
        return
    aside = _temporary(path)
    path.rename(aside)
    try:
        new.rename(path)
    except BaseException:
        aside.rename(path)
        raise
    aside.rename(new)
