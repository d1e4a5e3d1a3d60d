"""Tar archives as views of mapped bytes: what is in one is read where it lies.

Archives are not unpacked, so nothing in one can be written anywhere, and links in one are not
followed. The headers are POSIX's ustar with GNU's and pax's long names
(https://www.gnu.org/software/tar/manual/html_node/Standard.html; pax: IEEE 1003.1, "pax"). Read
here and not by ``tarfile``, which before Python 3.11.14 and 3.13.6 never ends on some archives
(CVE-2024-6232, CVE-2025-8194) and keeps a copy of the global pax headers per member.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from weight_port.errors import DAMAGE, FormatError
from weight_port.storage.copies import copied
from weight_port.storage.sources import File, Folder, view_file

_BLOCK = 512
_MAGIC = slice(257, 262)
_NOT_FILES = ("._", ".DS_Store")  # what macOS puts into folders and archives
_PLAIN, _WITHOUT_DATA = (b"0", b"\0", b"7"), tuple(b"%d" % n for n in range(1, 7))  # links, folders
_LONG_NAME, _PAX, _OF_NO_USE = b"L", b"x", (b"K", b"g")  # a long link's name, global pax headers
_LONGEST = 1 << 16  # bytes of a long name's or a pax header's block
_LONGEST_NAME = 4096  # bytes; Linux's own bound (limits.h, PATH_MAX)
_MOST_MEMBERS = 50_000  # a folder of ResNet-152's variables has 777


class _Member(NamedTuple):
    name: str
    kind: bytes
    view: memoryview


def is_tar(data: memoryview) -> bool:
    """Whether the bytes begin as a tar archive does, POSIX's or GNU's."""
    return bytes(copied(data[_MAGIC])) == b"ustar"


def folders_of(data: memoryview, where: str) -> dict[str, Folder]:
    """The folders of an archive that have plain files in them, by their names in it.

    Raises FormatError where the archive is damaged.
    """
    folders: dict[str, dict[str, File]] = {}
    try:
        for count, member in enumerate(_members(data)):
            if count == _MOST_MEMBERS:
                raise ValueError(f"more than {_MOST_MEMBERS} files; unpack it and choose")
            path = PurePosixPath(member.name)
            if member.kind not in _PLAIN or member.name.endswith("/"):
                continue
            if path.name.startswith(_NOT_FILES):
                continue
            files = folders.setdefault(str(path.parent), {})
            if path.name in files:
                raise ValueError(f"it holds {member.name!r:.200} twice; unpack it and choose")
            inside = f"{where}/{member.name}"
            files[path.name] = view_file(inside, path.name, member.view, files)
    except DAMAGE as error:
        raise FormatError(f"{where}: damaged tar archive: {error}") from None
    return {name: Folder(f"{where}/{name}", files) for name, files in folders.items()}


def _members(data: memoryview) -> Iterator[_Member]:
    """Every member under its full name; raises ValueError."""
    long_name: str | None = None
    long_size: int | None = None
    position = 0
    while position < len(data):
        header = bytes(copied(data[position : position + _BLOCK]))
        if header.count(0) == _BLOCK:  # two such blocks end an archive; what follows is no matter
            return
        size, kind = _checked(header, position), header[156:157]
        own = kind not in (_LONG_NAME, _PAX, *_OF_NO_USE)  # not about the member that follows
        if own and long_size is not None:
            size = long_size
        start, size = position + _BLOCK, 0 if kind in _WITHOUT_DATA else size
        if start + size > len(data):
            raise ValueError(f"truncated at {_name(header)!r:.200}; get it again")
        view = data[start : start + size]
        position = start + -(-size // _BLOCK) * _BLOCK
        if kind == _LONG_NAME:
            long_name = _text(_short(view))
        elif kind == _PAX:
            long_name, long_size = _pax(_short(view))
        elif own:
            yield _Member(_name(header) if long_name is None else long_name, kind, view)
            long_name = long_size = None


def _checked(header: bytes, position: int) -> int:
    """The size that a header gives its member; raises ValueError for what is no header."""
    if len(header) < _BLOCK or header[_MAGIC] != b"ustar":
        raise ValueError(f"no header at byte {position}: truncated? Get it again")
    # The sum of the header's bytes, its own field taken as spaces.
    if _number(header[148:156]) != sum(header) - sum(header[148:156]) + 8 * 0x20:
        raise ValueError(f"wrong checksum at byte {position}; get it again")
    return _number(header[124:136])


def _number(field: bytes) -> int:
    """Octal digits, or GNU's big-endian number behind a byte 0x80."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0") or b"0"
    if not digits.isdigit():
        raise ValueError(f"{field!r} is no number")
    return int(digits, 8)


def _text(field: bytes) -> str:
    name = field.partition(b"\0")[0]
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"a name of {len(name)} bytes")
    return name.decode("utf-8", "surrogateescape")


def _name(header: bytes) -> str:
    """The name in a header, behind POSIX's prefix (which GNU's own format has not)."""
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{_text(header[:100])}" if prefix else _text(header[:100])


def _short(view: memoryview) -> bytes:
    if len(view) > _LONGEST:
        raise ValueError(f"a name or pax header of {len(view)} bytes")
    return bytes(copied(view))


def _pax(records: bytes) -> tuple[str | None, int | None]:
    """(path, size) of a pax header, of records "length key=value\\n"; None for what it lacks."""
    fields: dict[bytes, bytes] = {}
    position = 0
    while position < len(records):
        digits, _, _ = records[position : position + 8].partition(b" ")
        end = position + _digits(digits)
        if not position + len(digits) + 2 < end <= len(records):
            raise ValueError(f"a pax record of {end - position} bytes")
        key, _, value = records[position + len(digits) + 1 : end - 1].partition(b"=")
        if key.startswith(b"GNU.sparse"):
            raise ValueError("a sparse file; unpack it first")
        fields[key] = value
        position = end
    name, size = fields.get(b"path"), fields.get(b"size")
    return None if name is None else _text(name), None if size is None else _digits(size)


def _digits(field: bytes) -> int:
    if not field.isdigit():
        raise ValueError(f"{field!r:.60} is no number")
    return int(field)
