"""Where bytes come from: a file or a folder on disk, or one inside a tar archive.

Archives are not unpacked: what is in them is a view of the mapped archive, so nothing in one can
be written anywhere, and links in one are not followed.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from weight_port.disk import map_bytes
from weight_port.errors import FormatError

_TAR_MAGIC_AT = 257
_NOT_FILES = ("._", ".DS_Store")  # what macOS puts into folders and archives


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


def is_tar(data: memoryview) -> bool:
    """Whether the bytes begin as a tar archive does, POSIX's or GNU's."""
    return bytes(data[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5]) == b"ustar"


def disk_file(path: Path) -> File:
    """A file on disk; its neighbours count only where they are plain files and no links."""

    def beside(name: str) -> File | None:
        other = path.parent / name
        return disk_file(other) if other.is_file() and not other.is_symlink() else None

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
    return stat.S_ISREG(entry.lstat().st_mode)


def tar_folders(path: Path) -> dict[str, Folder]:
    """The folders of a tar archive that have plain files in them, by their names in it.

    Raises FormatError where the archive is damaged.
    """
    import tarfile  # not needed, and not loaded, for anything else

    data = map_bytes(path)
    found: dict[str, dict[str, File]] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if not member.isreg() or member.issparse() or name.name.startswith(_NOT_FILES):
                    continue
                end = member.offset_data + member.size
                if end > len(data):
                    raise FormatError(f"{path}: truncated at {member.name}; get it again")
                files = found.setdefault(str(name.parent), {})
                if name.name in files:
                    raise FormatError(f"{path}: holds {member.name} twice; unpack it and choose")
                view = data[member.offset_data : end]
                files[name.name] = _tar_file(f"{path}/{member.name}", name.name, view, files)
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError) as error:
        raise FormatError(f"{path}: damaged tar archive ({error}); get it again") from None
    return {name: Folder(f"{path}/{name}", files) for name, files in found.items()}


def _tar_file(where: str, name: str, view: memoryview, files: dict[str, File]) -> File:
    def load() -> memoryview:
        if not view:
            raise FormatError(f"{where}: the file is empty; get the archive again")
        return view

    return File(where, name, load, files.get)
