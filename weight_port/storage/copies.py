"""Bytes of mapped files in memory of the process's own: the kernel copies them.

Where a map's page is gone, because the file became shorter, the processor's own access ends the
process with SIGBUS; a system call that is to read there fails with EFAULT instead (mmap(2),
write(2)). So what is looked at, computed with or packed goes through such a call first, a piece at
a time; what is only written is handed to ``write`` as it is.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator
from typing import Any

from weight_port.storage.maps import check_mapped, is_file

_PIECE = 1 << 18  # bytes that are copied at a time: a cache holds them
_NEAR = 1 << 12  # bytes that are looked at together


def copied(data: memoryview) -> memoryview:
    """The bytes in memory that no change of a file reaches; themselves where they are in such.

    Raises FormatError where the file has become shorter.
    """
    mapped = map_of(data)
    if mapped is None:
        return data
    made = memoryview(bytearray(len(data)))
    with _channel() as channel:
        for start in range(0, len(data), _PIECE):
            _copy(channel, data[start : start + _PIECE], made[start : start + _PIECE], mapped)
    return made


def pieces(data: memoryview) -> Iterator[memoryview]:
    """The bytes, copied where they are mapped, a piece at a time, which the next one replaces.

    Raises FormatError where the file has become shorter.
    """
    mapped = map_of(data)
    if mapped is None:
        yield data
        return
    room = memoryview(bytearray(min(len(data), _PIECE)))
    with _channel() as channel:
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            _copy(channel, piece, room, mapped)
            yield room[: len(piece)]


def map_of(data: Any) -> mmap.mmap | None:
    """The map of a file that a view or an array shows, None where it shows other memory."""
    owner = data
    while not isinstance(owner, mmap.mmap):
        owner = owner.obj if isinstance(owner, memoryview) else getattr(owner, "base", None)
        if owner is None:
            return None
    return owner if is_file(owner) else None


@contextlib.contextmanager
def _channel() -> Iterator[int]:
    """The descriptor of a nameless file in memory, or, where the system has none such, on disk."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("weight-port")
        try:
            yield descriptor
        finally:
            os.close(descriptor)
        return
    import tempfile  # not needed, and not loaded, on Linux

    with tempfile.TemporaryFile() as stream:
        yield stream.fileno()


def _copy(channel: int, source: memoryview, target: memoryview, mapped: mmap.mmap) -> None:
    """Copy one piece through ``channel``."""
    done = 0
    while done < len(source):
        try:
            count = os.pwrite(channel, source[done:], 0)
        except OSError:
            check_mapped(mapped)  # which says so where the file is the cause
            raise
        done += os.preadv(channel, [target[done : done + count]], 0)


class Nearby:
    """Where a reader stands in ``data``: it looks at copies of the bytes nearby."""

    def __init__(self, data: memoryview, position: int) -> None:
        self.data, self.position = data, position
        self._near, self._start = memoryview(b""), position

    def near(self, count: int) -> memoryview:
        """The next ``count`` bytes, fewer at the end; the position stays, and never goes back."""
        at = self.position - self._start
        if at + count > len(self._near):
            at, self._start = 0, self.position
            self._near = copied(self.data[self.position : self.position + max(count, _NEAR)])
        return self._near[at : at + count]
