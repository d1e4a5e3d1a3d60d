"""The bytes of a pickle, taken one after another."""

from __future__ import annotations

import struct
from typing import Any

from weight_port.errors import FormatError
from weight_port.storage.copies import Nearby, copied

_WINDOW = 1 << 16  # bytes that are searched for a line's end at a time


class Stream(Nearby):
    """Where a reader stands in ``data``; every length is checked against the bytes there.

    The methods raise FormatError, with ``where``, for what is not there.
    """

    def __init__(self, data: memoryview, where: str, position: int = 0) -> None:
        super().__init__(data, position)
        self.where = where

    def take(self, count: int) -> memoryview:
        """The next ``count`` bytes, as a view."""
        end = self.position + count
        if count < 0 or end > len(self.data):
            raise FormatError(
                f"{self.where}: truncated: {count} bytes wanted at byte {self.position}, "
                f"{len(self.data) - self.position} there; get the file again"
            )
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def copy(self, count: int) -> memoryview:
        """The next ``count`` bytes, to be looked at."""
        start = self.position
        self.take(count)  # which says so where they are fewer
        self.position, end = start, self.position
        near = self.near(count)
        self.position = end
        return near

    def byte(self) -> int:
        """The next byte, as a number."""
        at = self.position - self._start
        if at >= len(self._near):
            return self.copy(1)[0]
        self.position += 1
        return self._near[at]

    def number(self, layout: struct.Struct) -> Any:
        """The next number."""
        return layout.unpack(self.copy(layout.size))[0]

    def line(self) -> str:
        """The next line, without its end."""
        # Of GLOBAL and the like: no module, class name or number is longer than this.
        window = bytes(self.near(1000))
        length = window.find(b"\n")
        if length < 0:
            raise FormatError(f"{self.where}: damaged pickle: endless line")
        self.position += length + 1
        return window[:length].decode("utf-8")

    def long_line(self) -> bytes:
        """The next line, of any length: protocol 0 has whole tensors in one."""
        end = self.position
        while end < len(self.data):
            window = bytes(copied(self.data[end : end + _WINDOW]))
            if (length := window.find(b"\n")) >= 0:
                line = bytes(copied(self.data[self.position : end + length]))
                self.position = end + length + 1
                return line
            end += len(window)
        raise FormatError(f"{self.where}: damaged pickle: endless line")
