"""Where bytes come from: a file or a folder on disk, or a view of bytes that are mapped already."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from weight_port.errors import FormatError
from weight_port.storage.maps import map_bytes

_BLOBS = ("..", "..", "blobs")


@dataclass(frozen=True)
class File:
    """One file: ``where`` it is, for errors, and how to get at its bytes and its neighbours'."""

    where: str
    name: str
    load: Callable[[], memoryview]
    beside: Callable[[str], File | None]  # the plain file of that name in the same folder


@dataclass(frozen=True)
class Folder:
    """The plain files of a folder by name, and the names of what is no plain file."""

    where: str
    files: Mapping[str, File]
    others: tuple[str, ...] = ()


def disk_file(path: Path) -> File:
    """A file on disk; its neighbours count only where they are plain files, as of a folder."""

    def beside(name: str) -> File | None:
        other = path.parent / name
        return disk_file(other) if _is_plain(other) else None

    return File(str(path), path.name, lambda: map_bytes(path), beside)


def disk_folder(path: Path) -> Folder:
    """A folder on disk. Raises FormatError where it can't be listed."""
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        raise FormatError(f"{path}: can't be read: {error.strerror}") from None
    plain = {entry.name: disk_file(entry) for entry in entries if _is_plain(entry)}
    return Folder(str(path), plain, tuple(e.name for e in entries if e.name not in plain))


def _is_plain(entry: Path) -> bool:
    """Whether it is a file and no link, but for those of Hugging Face's cache.

    There ``snapshots/REVISION/NAME`` is a link to ``../../blobs/DIGEST`` (huggingface_hub,
    ``file_download.py``), which is followed to there and no further.
    """
    try:
        if not entry.is_symlink():
            return stat.S_ISREG(entry.lstat().st_mode)
        target = Path(os.readlink(entry)).parts
        blob = entry.parent.joinpath(*target)
        return target[:-1] == _BLOBS and stat.S_ISREG(blob.lstat().st_mode)
    except (OSError, ValueError):  # of a name that no system has, or what is gone
        return False


def view_file(where: str, name: str, view: memoryview, folder: Mapping[str, File]) -> File:
    """A file whose bytes are there already; its neighbours are those of ``folder``."""

    def load() -> memoryview:
        if not view:
            raise FormatError(f"{where}: the file is empty; get the archive again")
        return view

    return File(where, name, load, folder.get)
