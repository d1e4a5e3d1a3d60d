"""Sources as memory maps, and an error where one has shrunk while it was read.

Past the file's new end a map's last page reads as zeros, ``write(2)`` from the pages behind it
fails with EFAULT, and the processor's own access ends the process with SIGBUS (mmap(2)). So
``guarded`` looks at the sizes before a result gets its name, and what is looked at or computed with
is copied by the kernel (``copies``); the digest reads the file instead of its map.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from weakref import WeakKeyDictionary, WeakValueDictionary

from weight_port.errors import FormatError

# A mapped file keeps a descriptor open, of which a process may have 256 on some systems; a 1.x
# folder of ResNet-152 has 777 files, 155 of them larger than this.
_WORTH_MAPPING = 1 << 16

# What is mapped now: a second map of a file would cost a second page fault for every page.
_maps: WeakValueDictionary[tuple[int, ...], mmap.mmap] = WeakValueDictionary()
_paths: WeakKeyDictionary[mmap.mmap, Path] = WeakKeyDictionary()
# What was mapped within ``guarded``, None outside of it.
_watched: ContextVar[list[tuple[Path, mmap.mmap]] | None] = ContextVar("watched", default=None)


def map_bytes(path: Path) -> memoryview:
    """The file's bytes, read-only and not loaded; raises FormatError where there are none."""
    try:
        with open(path, "rb", opener=_open) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                raise FormatError(f"{path}: neither a file nor a folder")
            if status.st_size >= _WORTH_MAPPING:
                return memoryview(_map(path, stream.fileno(), status))
            data = memoryview(stream.read(status.st_size))
    except (OSError, ValueError) as error:  # ValueError: a name that no system has
        raise FormatError(f"{path}: can't be read: {getattr(error, 'strerror', error)}") from None
    if not data:
        raise FormatError(f"{path}: the file is empty; get it again")
    return data


def _open(path: str, flags: int) -> int:
    """A descriptor at once: a pipe would be waited for, and to a file the flag is nothing."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _map(path: Path, descriptor: int, status: os.stat_result) -> mmap.mmap:
    """The map of an open file; the one that there is, if the file is still the same."""
    key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    mapped = _maps.get(key)
    if mapped is None:
        mapped = _maps[key] = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        _paths[mapped] = path
    if (watched := _watched.get()) is not None:
        watched.append((path, mapped))
    return mapped


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """A block, or a function, in which a mapped file that shrinks gives a FormatError."""
    token = _watched.set([])
    try:
        yield
    except Exception:
        check_whole()  # which is the cause of whatever else is wrong
        raise
    finally:
        _watched.reset(token)


def check_whole() -> None:
    """Raises FormatError where a file that was mapped within ``guarded`` is shorter now."""
    for path, mapped in _watched.get() or ():
        check_length(path, len(mapped), mapped.size())


def is_file(mapped: mmap.mmap) -> bool:
    """Whether it is a file's that was named, and so may become shorter; else it is ours alone."""
    return mapped in _paths


def check_mapped(mapped: mmap.mmap) -> None:
    """Raises FormatError where a mapped file is shorter now."""
    check_length(_paths[mapped], len(mapped), mapped.size())


def check_length(path: Path, expected: int, length: int) -> None:
    """Raises FormatError where a file's bytes are fewer than they were."""
    if length < expected:
        raise FormatError(
            f"{path}: became shorter while it was read: {length} bytes of {expected} are left; "
            "wait until nothing writes to it any more"
        )
