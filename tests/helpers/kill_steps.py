"""Stops a conversion at every step that it takes on the disk, and says what is then there.

``kill_steps.py SOURCE DESTINATION kill|full HOW`` prints a JSON list, a row per step.

``kill``: the process ends before the step, as by SIGKILL: nothing is flushed or removed. ``full``:
the step fails with "No space left on device". HOW: ``exchange``, ``renames`` (where two folders
can't change places in one step) or ``in-place``, a writer that is not safe. Every step runs in a
fork of this process, which has imported all that a conversion needs.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from weight_port import cli
from weight_port.conversion import convert_file  # noqa: F401 (imported once, not in every fork)
from weight_port.formats import files
from weight_port.storage import folders

CALLS = ("fsync", "replace", "rename", "mkdir", "unlink", "rmdir")
REMOVING = ("unlink", "rmdir")  # a full disk doesn't keep anyone from that
KILLED = 9
TEMPORARY = ".weight-port-*.tmp"


def content(path: Path) -> dict[str, bytes] | bytes | None:
    """What is at a path: a folder's files by name, a file's bytes, or nothing."""
    if path.is_dir():
        return {file.name: file.read_bytes() for file in sorted(path.iterdir())}
    return path.read_bytes() if path.exists() else None


def patch(before: Callable[[str], None]) -> None:
    """Have ``before(call)`` called ahead of every step on the disk."""

    class Stream(io.BufferedWriter):
        def write(self, data: Any) -> int:
            before("write")
            return super().write(data)

    def step(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*arguments: Any, **named: Any) -> Any:
            before(name)
            return call(*arguments, **named)

        return stepping

    def opening(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        if mode not in ("xb", "wb"):
            return plain_open(file, mode, *rest, **named)
        before("open")
        return Stream(io.FileIO(file, mode))

    plain_open = builtins.open
    builtins.open = opening  # type: ignore[assignment]
    folders.exchange = step("exchange", folders.exchange)
    for name in CALLS:
        setattr(os, name, step(name, getattr(os, name)))


@contextlib.contextmanager
def in_place(path: Path, force: bool) -> Iterator[Any]:
    """A writer that is not safe: it has emptied the old file before the new one is there."""
    with open(path, "wb") as stream:
        yield stream


def convert(source: Path, destination: Path, stop: int, mode: str) -> int:
    """Convert in this process, which is stopped at a step; returns the exit status."""
    steps = itertools.count()

    def before(call: str) -> None:
        if mode == "full" and call in (*REMOVING, "exchange"):
            return
        if next(steps) == stop:
            if mode == "kill":
                os._exit(KILLED)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch(before)
    status = cli.main(["convert", str(source), str(destination), "--to", "raw", "--force"])
    return status if next(steps) <= stop or status else KILLED + 1  # 0: there was no such step


def main(source: Path, destination: Path, mode: str, how: str) -> None:
    """Stop at the first step, at the second, and so on, until there is none left."""
    if how == "renames":
        folders.exchange = lambda one, other: False
    if how == "in-place":
        files.new_file = in_place
    kept = destination.with_name("kept")
    (shutil.copytree if destination.is_dir() else shutil.copy)(destination, kept)
    rows: list[dict[str, Any]] = []
    old = content(kept)
    for stop in itertools.count():
        child = os.fork()
        if child == 0:
            status = 70
            with open(os.devnull, "w") as quiet, contextlib.redirect_stdout(quiet):
                try:
                    status = convert(source, destination, stop, mode)
                finally:
                    os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        rows.append({"status": status, **_state(destination, old)})
        if status == 0:
            break
        _restore(destination, kept)
    shutil.rmtree(kept) if kept.is_dir() else kept.unlink()
    print(json.dumps(rows))


def _state(destination: Path, old: Any) -> dict[str, Any]:
    now = content(destination)
    left = [content(path) for path in destination.parent.glob(TEMPORARY)]
    return {
        "there": None if now is None else "old" if now == old else _text(now),
        "left": len(left),
        "old is left": old in left,
    }


def _text(now: Any) -> str:
    """A digest of what is there, to be compared with the complete new one's."""
    import hashlib

    return hashlib.sha256(repr(now).encode()).hexdigest()


def _restore(destination: Path, kept: Path) -> None:
    for path in (destination, *destination.parent.glob(TEMPORARY)):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    (shutil.copytree if kept.is_dir() else shutil.copy)(kept, destination)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4])
