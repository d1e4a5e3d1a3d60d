"""Zip archives as views of mapped bytes: what ``.pth`` and ``.npz`` are made of."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import Any

from weight_port.errors import DAMAGE, FormatError
from weight_port.storage.bounds import memory_for
from weight_port.storage.copies import copied, pieces

_ALIGNMENT = 64  # torch aligns storages, NumPy arrays, so that they can be memory-mapped
_LOCAL_HEADER = 30
ZIP_STORED = zipfile.ZIP_STORED


class _View(io.RawIOBase):
    """Mapped bytes as the seekable stream that ``zipfile`` wants."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._position = data, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = (0, self._position, len(self._data))[whence]
        if start + offset < 0:
            raise OSError("before the start")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        taken = self._data[self._position : self._position + len(buffer)]
        buffer[: len(taken)] = copied(taken)
        self._position += len(taken)
        return len(taken)


def members(data: memoryview, where: str) -> dict[str, zipfile.ZipInfo]:
    """The archive's members by name; raises FormatError."""
    try:
        with zipfile.ZipFile(_View(data)) as archive:
            listed = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, *DAMAGE) as error:
        raise FormatError(f"{where}: truncated or damaged zip ({error}); get it again") from None
    by_name = {info.filename: info for info in listed}
    if len(by_name) != len(listed):
        raise FormatError(f"{where}: damaged zip: a member is there twice; get it again")
    return by_name


def _raw(data: memoryview, info: zipfile.ZipInfo, where: str) -> memoryview:
    header = copied(data[info.header_offset : info.header_offset + _LOCAL_HEADER])
    if len(header) < _LOCAL_HEADER or bytes(header[:4]) != b"PK\x03\x04":
        raise FormatError(f"{where}: damaged zip at {info.filename}")
    start = info.header_offset + _LOCAL_HEADER + sum(struct.unpack("<HH", header[26:30]))
    if start + info.compress_size > len(data):
        raise FormatError(f"{where}: truncated: {info.filename} ends past the file's end")
    return data[start : start + info.compress_size]


def stored(data: memoryview, info: zipfile.ZipInfo, where: str) -> memoryview:
    """The bytes of a member as a view; raises FormatError where it is compressed or damaged."""
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        raise FormatError(f"{where}: {info.filename} is compressed; torch stores. Unzip it first")
    return _raw(data, info, where)


def check_sizes(listed: dict[str, zipfile.ZipInfo], size: int, where: str) -> None:
    """Raises FormatError where an archive of ``size`` bytes would grow out of all proportion."""
    # Deflate makes one byte of a thousand zeros, nine of ten of real weights: more than this is a
    # bomb, or a tensor of zeros that is not worth a risk. Stored members may overlap, too.
    total = sum(info.file_size for info in listed.values())
    if total > memory_for(size):
        raise FormatError(
            f"{where}: {size} bytes that would grow to {total}: a zip bomb, not weights; if you "
            "trust it, load it with NumPy and save it uncompressed"
        )


def inflated(data: memoryview, info: zipfile.ZipInfo, where: str) -> memoryview:
    """The bytes of a stored or deflated member, never more than it declares."""
    if info.compress_type == zipfile.ZIP_STORED:
        return stored(data, info, where)
    if info.compress_type != zipfile.ZIP_DEFLATED:
        raise FormatError(f"{where}: {info.filename} is compressed by other than deflate")
    try:
        engine = zlib.decompressobj(-zlib.MAX_WBITS)
        content = engine.decompress(copied(_raw(data, info, where)), info.file_size + 1)
    except zlib.error as error:
        raise FormatError(f"{where}: damaged data of {info.filename}: {error}") from None
    if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
        raise FormatError(f"{where}: damaged data of {info.filename}; get it again")
    return memoryview(content)


def checked(data: memoryview, info: zipfile.ZipInfo, where: str) -> memoryview:
    """As ``inflated``, its check sum compared: a stored member has no other sign of damage.

    torch writes and reads its archives without (``torch.serialization.set_crc32_options``).
    """
    content = inflated(data, info, where)
    if info.compress_type == zipfile.ZIP_STORED and _check_sum(content) != info.CRC:
        raise FormatError(
            f"{where}: {info.filename} has another check sum than the archive says: damaged; get "
            "it again"
        )
    return content


def _check_sum(content: memoryview) -> int:
    total = 0
    for piece in pieces(content):
        total = zlib.crc32(piece, total)
    return total


def add(archive: zipfile.ZipFile, name: str, *parts: memoryview | bytes) -> None:
    """Add a stored member, the parts one after another, at a multiple of the alignment."""
    info = zipfile.ZipInfo(name)  # its date is fixed at 1980, so equal weights give equal bytes
    large = sum(map(len, parts)) > zipfile.ZIP64_LIMIT
    assert archive.fp is not None
    # The local header: 30 bytes, the name, the padding's own 4, and the two sizes of a large file.
    start = archive.fp.tell() + _LOCAL_HEADER + len(name.encode()) + 4 + (20 if large else 0)
    padding = -start % _ALIGNMENT
    info.extra = struct.pack("<HH", 0x4246, padding) + b"Z" * padding  # "FB", as torch pads
    with archive.open(info, "w", force_zip64=large) as member:
        for part in parts:
            for piece in pieces(memoryview(part)):  # zipfile looks at them for their checksum
                member.write(piece)
