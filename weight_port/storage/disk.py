"""Files out: a destination appears whole or not at all; ``folders`` does so for a folder.

A process that is killed while it writes leaves ``.weight-port-….tmp`` beside the destination. No
later run removes it: it may be another process's that still writes, and, where two folders can't
change places in one step, the only copy of the old one. It may be deleted by hand.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from weight_port.errors import DestinationError
from weight_port.storage import phases
from weight_port.storage.maps import check_whole
from weight_port.storage.renames import move_new


def check_destination(path: Path, force: bool) -> None:
    """Raises DestinationError where ``path`` exists and may not be replaced, or has no folder.

    A link that leads nowhere exists. Pipes, sockets and devices are not replaced by anything.
    """
    with reported(path):
        if not path.absolute().parent.is_dir():
            raise DestinationError(f"{path}: the folder {path.absolute().parent} does not exist")
        if not exists(path):
            return
        if not force:
            raise DestinationError(f"{path}: exists; pass --force (force=True) to replace it")
        mode = mode_of(path)
        if mode is not None and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise DestinationError(f"{path}: a pipe, socket or device; name a file or a folder")


def check_apart(source: Path, destination: Path) -> None:
    """Raises DestinationError where the destination would lie in the source's folder."""
    with reported(destination):
        exists(destination)  # or has a name that nothing can have
    # Of a source with such a name os.path.isdir is False: its reader refuses it.
    if os.path.isdir(source) and source.resolve() in destination.resolve().parents:
        raise DestinationError(
            f"{destination}: lies in {source}, which is read as a whole; name a place outside of it"
        )


def exists(path: Path) -> bool:
    """Whether anything has the name; raises OSError, DestinationError for what is no name."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except ValueError as error:  # a NUL in it, half a character
        raise DestinationError(f"{path}: can't be written: {error}") from None
    return True


def mode_of(path: Path) -> int | None:
    """The type and the permissions of what a path leads to, None where that is nothing."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def reported(path: Path) -> Iterator[None]:
    """A block in which the system's errors are DestinationErrors that name ``path``."""
    try:
        yield
    except OSError as error:
        check_whole()  # of a source that has shrunk, writing it fails with "Bad address"
        if isinstance(error, FileExistsError):
            raise DestinationError(
                f"{path}: appeared while its new content was made, and is kept; pass --force "
                "(force=True) to replace it"
            ) from error
        reason = error.strerror or error
        raise DestinationError(f"{path}: can't be written: {reason}") from error


def temporary_name(path: Path) -> Path:
    """A new name beside ``path``: to be renamed, a file must be on the same file system."""
    return path.absolute().parent / f".weight-port-{os.urandom(8).hex()}.tmp"


def sync(descriptor: int) -> None:
    """Have a file's bytes, or a folder's names, on the disk."""
    phases.begin(phases.SYNC)
    os.fsync(descriptor)
    phases.begin(phases.WRITE)


def sync_folder(path: Path) -> None:
    """Have the names in a folder on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


class Whole:
    """An unbuffered file that writes all of what it is given; in all else the file itself.

    A buffer would be filled by the processor, which bears no map that became shorter (``copies``).
    """

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw

    def write(self, data: bytes | memoryview) -> int:
        """Write all bytes: ``write(2)`` takes 2 GiB at a time, or less."""
        done, size = 0, memoryview(data).nbytes
        while done < size:
            done += self._raw.write(memoryview(data).cast("B")[done:])
        return size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


@contextlib.contextmanager
def new_file(path: Path, force: bool) -> Iterator[BinaryIO]:
    """A stream whose bytes become ``path`` when the block ends well: written, synced, renamed.

    What is replaced, by ``force`` alone, leaves its permissions. Raises DestinationError.
    """
    check_destination(path, force)
    if path.is_dir():
        raise DestinationError(f"{path}: is a directory; name a file")
    temporary = temporary_name(path)
    with reported(path):
        try:
            with open(temporary, "xb", buffering=0) as stream:
                if (mode := mode_of(path)) is not None:
                    os.chmod(temporary, stat.S_IMODE(mode) & 0o777)
                yield cast(BinaryIO, Whole(stream))
                stream.flush()
                sync(stream.fileno())
            check_whole()
            if force:
                os.replace(temporary, path)
            else:
                move_new(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(temporary.parent)


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
