"""Room for bytes that a file has only in code: a nameless file, so that memory need not hold them.

Pickle protocol 2 spells bytes as UTF-8 text, twice as long for half of the values: a checkpoint of
that kind can't be mapped, and its tensors would all stand in memory at once.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from types import TracebackType
from typing import BinaryIO


class Scratch:
    """Up to ``size`` bytes in a temporary file, which is made when the first come."""

    def __init__(self, size: int) -> None:
        self._size, self._used = size, 0
        self._file: BinaryIO | None = None
        self._map: mmap.mmap | None = None

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()  # the map, and the file with it, lives as long as views of it do

    def put(self, parts: Iterable[bytes | memoryview]) -> memoryview:
        """A read-only view of the parts, one after another.

        Raises ValueError where there is no room, OSError where the disk has none.
        """
        file, mapped = self._open()
        start = self._used
        for part in parts:
            if self._used + len(part) > self._size:
                raise ValueError("it makes more bytes than it has")
            file.write(part)
            self._used += len(part)
        file.flush()
        return memoryview(mapped)[start : self._used]

    def _open(self) -> tuple[BinaryIO, mmap.mmap]:
        if self._file is None or self._map is None:
            import tempfile  # not needed, and not loaded, for any other file

            self._file = tempfile.TemporaryFile(prefix="weight-port-")  # noqa: SIM115
            self._file.truncate(self._size)  # sparse: what is never written takes no room
            self._map = mmap.mmap(self._file.fileno(), self._size, access=mmap.ACCESS_READ)
        return self._file, self._map
