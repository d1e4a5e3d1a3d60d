"""A file's SHA-256, computed beside everything else. Standard library only."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

from weight_port.errors import FormatError, WeightPortError
from weight_port.storage.maps import check_length

_PIECE = 1 << 20  # bytes read at a time: a cache holds them


class Digest:
    """The SHA-256 of a file, computed in a thread of its own."""

    length = 64  # hexadecimal digits

    def __init__(self, path: Path) -> None:
        self._path = path
        self._value = ""
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._compute, daemon=True)
        self._thread.start()

    def _compute(self) -> None:
        try:
            self._value = _sha256(self._path)
        except (WeightPortError, OSError, ValueError) as error:  # the caller's, when it asks
            self._error = error

    def result(self) -> str:
        """The digest in hexadecimal, once it is there; raises FormatError for an unread file."""
        self._thread.join()
        if self._error is not None:
            if isinstance(self._error, WeightPortError):
                raise self._error
            reason = getattr(self._error, "strerror", self._error)
            raise FormatError(f"{self._path}: can't be read: {reason}") from self._error
        return self._value


def _sha256(path: Path) -> str:
    """Read and not mapped, so that a file that shrinks is an error and no signal."""
    total, count, buffer = hashlib.sha256(), 0, memoryview(bytearray(_PIECE))
    with open(path, "rb", buffering=0) as stream:
        size = os.fstat(stream.fileno()).st_size
        while read := stream.readinto(buffer):
            total.update(buffer[:read])  # without the interpreter's lock
            count += read
    check_length(path, size, count)
    return total.hexdigest()


def start(source: Path) -> Digest | None:
    """The digest of ``source``, soon; None where it is no file of its own (a folder, a member)."""
    return Digest(source) if os.path.isfile(source) else None  # no error for what is no name
