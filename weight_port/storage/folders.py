"""Folders out: one appears whole or not at all, as ``disk`` has a file appear."""

from __future__ import annotations

import contextlib
import functools
import operator
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from weight_port.errors import DestinationError
from weight_port.storage.disk import (
    check_destination,
    exists,
    mode_of,
    reported,
    sync,
    sync_folder,
    temporary_name,
)
from weight_port.storage.maps import check_whole
from weight_port.storage.renames import exchange, move_new


@contextlib.contextmanager
def new_folder(path: Path, force: bool) -> Iterator[Path]:
    """A folder that becomes ``path`` when the block ends well, in place of an old one.

    What is replaced, by ``force`` alone, leaves its permissions. Raises DestinationError.
    """
    check_destination(path, force)
    if path.exists() and not path.is_dir():
        raise DestinationError(f"{path}: is a file; name a folder")
    temporary, old = temporary_name(path), None
    with reported(path):
        try:
            temporary.mkdir()
            mode = mode_of(path)
            if mode is not None:
                temporary.chmod(0o700)  # until its files have their permissions
            yield temporary
            for file in temporary.iterdir():
                _permit(file, path)
                with open(file, "rb") as stream:
                    sync(stream.fileno())
            if mode is not None:
                temporary.chmod(stat.S_IMODE(mode) & 0o777)
            sync_folder(temporary)
            check_whole()
            old = _swap(temporary, path, force)
        finally:
            if old is None:
                _remove(temporary)
        try:  # the new names must be on the disk before the old files go
            sync_folder(temporary.parent)
        except BaseException:
            if old is not None:
                old = _swap(old, path, force)
            raise
        finally:
            _remove(old)


def _permit(file: Path, folder: Path) -> None:
    """Give a new file its namesake's permissions in the old folder, or what any had there."""
    if not folder.is_dir():
        return
    mode = mode_of(folder / file.name)
    if mode is None:
        modes = [entry.stat().st_mode for entry in folder.iterdir()]
        any_of_them = functools.reduce(operator.or_, modes, 0) if modes else 0o777
        mode = any_of_them & file.stat().st_mode
    file.chmod(mode & 0o777)


def _swap(new: Path, path: Path, force: bool) -> Path | None:
    """Put the folder ``new`` in ``path``'s place; returns the name of what was there.

    In one step where the system has one. Elsewhere ``path`` is not there for a moment; killed in
    it, both folders are left, whole, under hidden names.
    """
    if not force or not exists(path):
        move_new(new, path)
        return None
    if exchange(new, path):
        return new
    aside = temporary_name(path)
    path.rename(aside)
    try:
        new.rename(path)
    except BaseException:
        aside.rename(path)
        raise
    return aside


def _remove(path: Path | None) -> None:
    """Remove what is left under a temporary name: nothing, a folder, or a link to one."""
    if path is None:
        return
    if path.is_symlink():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)
