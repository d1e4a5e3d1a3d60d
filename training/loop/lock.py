"""One training at a time in a folder: locks that end with the processes that hold them.

The command holds one byte of a file for as long as it runs, and its first worker another. A worker
ends by itself when its command is gone (``tasks``), but not at the same moment: the next command
waits for it. POSIX record locks, which the system drops when a process ends in any way
(https://pubs.opengroup.org/onlinepubs/9799919799/functions/fcntl.html); they work over NFS too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from training.errors import TrainingError

FILE = ".training.lock"
_COMMAND, _WORKER = 0, 1  # the bytes
_PATIENCE, _PAUSE = 20.0, 0.05  # seconds: until a worker without its command has ended
_LONGEST = 100  # bytes of the holder's name


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder for a command that trains; the file is removed at the end.

    Raises TrainingError where another command has it, or a worker that doesn't end.
    """
    stream = _opened(folder / FILE)
    with stream:
        _wait_for_worker(stream, folder)
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        stream.flush()
        try:
            yield
        finally:
            (folder / FILE).unlink(missing_ok=True)  # still locked: whoever has it open looks again


@contextlib.contextmanager
def held_by_worker(folder: Path) -> Iterator[None]:
    """Hold the folder for the worker that writes. Raises TrainingError where another does."""
    with open(folder / FILE, "ab") as stream:
        if not _lock(stream, _WORKER):
            raise _refusal(folder, "a worker of another training")
        yield


def _opened(path: Path) -> BinaryIO:
    """The file, open and locked, under a name that is still its own."""
    while True:
        stream = open(path, "a+b")  # noqa: SIM115 (the caller closes it)
        if not _lock(stream, _COMMAND):
            with stream:
                stream.seek(0)
                holder = stream.read(_LONGEST).decode(errors="replace")
            raise _refusal(path.parent, holder or "another process")
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                return stream
        stream.close()


def _wait_for_worker(stream: BinaryIO, folder: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while not _lock(stream, _WORKER):
        if time.monotonic() > until:
            raise _refusal(folder, "a worker whose command has ended")
        time.sleep(_PAUSE)
    fcntl.lockf(stream, fcntl.LOCK_UN, 1, _WORKER)


def _lock(stream: BinaryIO, byte: int) -> bool:
    """Whether the lock could be had; raises OSError where the file system has none."""
    try:
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the system likes
        return False
    return True


def _refusal(folder: Path, holder: str) -> TrainingError:
    return TrainingError(
        f"{folder}: {holder} trains there now; wait for its end, or name another --out"
    )
