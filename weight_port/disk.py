"""Files in and out: sources are memory-mapped, destinations appear whole or not at all."""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from weight_port.errors import DestinationError, FormatError


def map_bytes(path: Path) -> memoryview:
    """The file's bytes, read-only and not loaded; raises FormatError where there are none."""
    try:
        with open(path, "rb") as stream:
            return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    except ValueError:  # what mmap says to an empty file
        raise FormatError(f"{path}: the file is empty; get it again") from None
    except OSError as error:
        raise FormatError(f"{path}: can't be read: {error.strerror}") from None


def check_destination(path: Path, force: bool) -> None:
    """Raises DestinationError where ``path`` exists and may not be replaced, or has no folder."""
    if path.exists() and not force:
        raise DestinationError(f"{path}: exists; pass --force (force=True) to replace it")
    if not path.absolute().parent.is_dir():
        raise DestinationError(f"{path}: the folder {path.absolute().parent} does not exist")


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
    folder = path.absolute().parent
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=folder)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        _sync_folder(folder)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise DestinationError(f"{path}: can't be written: {error.strerror}") from error
        raise


@contextlib.contextmanager
def new_folder(path: Path, force: bool) -> Iterator[Path]:
    """A folder that becomes ``path`` when the block ends well; an old one is set aside first."""
    check_destination(path, force)
    if path.exists() and not path.is_dir():
        raise DestinationError(f"{path}: is a file; name a folder")
    parent = path.absolute().parent
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=parent))
    try:
        yield temporary
        for file in temporary.iterdir():
            with open(file, "rb") as stream:
                os.fsync(stream.fileno())
        _sync_folder(temporary)
        temporary.chmod(0o777 & ~_umask())
        _swap(temporary, path)
        _sync_folder(parent)
    except OSError as error:
        raise DestinationError(f"{path}: can't be written: {error.strerror}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap(new: Path, path: Path) -> None:
    """Put ``new`` in ``path``'s place; a folder that was there ends where ``new`` was."""
    if not path.exists():
        new.rename(path)
        return
    aside = new.with_name(new.name + ".old")
    path.rename(aside)
    new.rename(path)
    aside.rename(new)


def _umask() -> int:
    """The process' mask for new files, which temporary files ignore."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
