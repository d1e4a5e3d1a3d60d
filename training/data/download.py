"""Download a file, whole and checked or not at all; a download that was stopped continues."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path

from training.errors import DataError

_CHUNK, _TIMEOUT = 1 << 20, 60.0  # bytes, seconds without a byte


def md5(path: Path) -> str:
    """The MD5 of a file's content, in hexadecimal."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def fetch(url: str, path: Path, wanted: str) -> Path:
    """Download ``url`` to ``path`` unless it is there, check its MD5, and return ``path``.

    It is written to ``path``.part first, which a later call continues where the server can. A whole
    file whose MD5 is not ``wanted`` is removed. Raises DataError.
    """
    if path.exists():
        if md5(path) != wanted:
            raise DataError(f"{path}: exists, and is another file (MD5); move it away")
        return path
    part = path.with_name(f"{path.name}.part")
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        _append(url, part)
        with open(part, "rb+") as stream:
            os.fsync(stream.fileno())
    except (OSError, ValueError) as error:  # URLError is an OSError; a bad URL is a ValueError
        raise DataError(
            f"{url}: {error}; call again to continue, or get it by other means and name it "
            "(--source)"
        ) from None
    if md5(part) != wanted:
        part.unlink()
        raise DataError(f"{url}: gave another file than expected (MD5); it was removed, try again")
    part.replace(path)
    return path


def _append(url: str, part: Path) -> None:
    """Download what ``part`` lacks; all of it where the server can't begin in the middle."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            length = answer.headers.get("Content-Length")
            with open(part, "ab" if answer.status == 206 else "wb") as stream:
                got = 0
                while chunk := answer.read(_CHUNK):
                    got += stream.write(chunk)
        if length is not None and got < int(length):
            raise OSError(f"the connection ended after {got} of {length} bytes")
    except urllib.error.HTTPError as error:
        if error.code != 416:  # nothing is left to get: the digest tells whether that is right
            raise
