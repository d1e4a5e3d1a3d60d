"""The bytes of a pickle, taken one after another."""

from __future__ import annotations

import struct
from typing import Any

from weight_port.errors import FormatError

_WINDOW = 1 << 16  # bytes that are searched for a line's end at a time


class Stream:
    """Where a reader stands in ``data``; every length is checked against the bytes there.

    The methods raise FormatError, with ``where``, for what is not there.
    """

    def __init__(self, data: memoryview, where: str, position: int = 0) -> None:
        self.data, self.where, self.position = data, where, position

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

    def byte(self) -> int:
        """The next byte, as a number."""
        try:
            value = self.data[self.position]
        except IndexError:
            self.take(1)  # which says so
            raise
        self.position += 1
        return value

    def number(self, layout: struct.Struct) -> Any:
        """The next number."""
        start = self.position
        if start + layout.size > len(self.data):
            self.take(layout.size)  # which says so
        self.position = start + layout.size
        return layout.unpack_from(self.data, start)[0]

    def line(self) -> str:
        """The next line, without its end."""
        # Of GLOBAL and the like: no module, class name or number is longer than this.
        window = bytes(self.data[self.position : self.position + 1000])
        length = window.find(b"\n")
        if length < 0:
            raise FormatError(f"{self.where}: damaged pickle: endless line")
        self.position += length + 1
        return window[:length].decode("utf-8")

    def long_line(self) -> bytes:
        """The next line, of any length: protocol 0 has whole tensors in one."""
        end = self.position
        while end < len(self.data):
            window = bytes(self.data[end : end + _WINDOW])
            if (length := window.find(b"\n")) >= 0:
                line = bytes(self.data[self.position : end + length])
                self.position = end + length + 1
                return line
            end += len(window)
        raise FormatError(f"{self.where}: damaged pickle: endless line")
