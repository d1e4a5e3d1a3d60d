"""Everyday damage, told apart from malice: why a file that was sound once can't be read.

Looked for where a reader has failed, since a sound file may have any bytes. A transfer as text
(FTP in ASCII mode, git's autocrlf, an editor) puts a CR before every LF, or takes the CR from every
CR LF, or puts U+FFFD for what is no text; a download that broke off leaves a zip without its end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_CHUNK = 1 << 20
# So many LFs must there be, each behind a CR (by chance: 1 file in 65,536), or so many CR LFs must
# be likely where there is none (1 in 3,000, by Poisson's law). How many are likely is what LF CR
# shows, which no transfer touches: the bytes of numbers don't fall together by chance alone (of
# bfloat16 the high one is sign and exponent, and neither pair is in a file of them).
_FEEDS, _PAIRS = 2, 8
_REPLACED = b"\xef\xbf\xbd"  # U+FFFD in UTF-8
_MANY, _ASCII = 16, bytes(range(128))  # bytes above 127, and those that are not
_WRITTEN = bytes([*b"\t\n\f\r", *range(32, 127)])
_COPY = "get it again, in binary mode (git: mark such files `binary` in .gitattributes)"
_LOCAL, _END = b"PK\x03\x04", b"PK\x05\x06"  # of a zip: a member's header, the list's end
_ZIP64 = 0xFFFFFFFF  # a size that stands elsewhere
_LONGEST_END = 22 + (1 << 16)  # bytes, with a comment


def of(data: memoryview) -> str:
    """What happened to a file's bytes, in a sentence with the way out; "" where that is unknown."""
    return _as_text(data) or (_cut_zip(data) if bytes(data[:4]) == _LOCAL else "")


def is_text(head: bytes) -> bool:
    """Whether a file that begins so is text, which has the line ends of its system."""
    return not head.translate(None, _WRITTEN)


def _chunks(data: memoryview) -> Iterator[bytes]:
    """The bytes in pieces, each with the byte before it (a space before the first)."""
    for start in range(0, len(data), _CHUNK):
        before = bytes(data[start - 1 : start]) if start else b" "
        yield before + bytes(data[start : start + _CHUNK])


def _as_text(data: memoryview) -> str:
    feeds = pairs = turned = replaced = high = 0
    for chunk in _chunks(data):
        feeds += chunk.count(b"\n", 1)
        pairs += chunk.count(b"\r\n")
        turned += chunk.count(b"\n\r")
        replaced += chunk.count(_REPLACED)
        high += len(chunk[1:].translate(None, _ASCII))
    if high >= _MANY and 3 * replaced > 0.9 * high:
        return f"saved as text: {replaced} of its bytes were replaced by U+FFFD, for good; {_COPY}"
    if feeds >= _FEEDS and pairs == feeds:
        return (
            f"transferred as text: each of its {feeds} LF bytes has a CR before it; {_COPY}, or "
            "undo it by `dos2unix -f`"
        )
    if turned > _PAIRS + 2.5 * pairs:  # a CR CR LF has become one
        return (
            f"transferred as text: {pairs} LF bytes have a CR before them and {turned} have one "
            f"behind them, of which there are as many by chance, so CRs were taken out; {_COPY}"
        )
    return ""


def _cut_zip(data: memoryview) -> str:
    """Of a zip without its end: how much is missing of the member that was cut, if that is known.

    A member's header has its size, or says that it comes behind it, as torch's does.
    """
    if _END in bytes(data[-_LONGEST_END:]):
        return ""
    position, missing = 0, 0
    while bytes(data[position : position + 4]) == _LOCAL and position + 30 <= len(data):
        size, _, name, extra = struct.unpack("<IIHH", data[position + 18 : position + 30])
        end = position + 30 + name + extra + size
        if size in (0, _ZIP64):
            break
        if end > len(data):
            missing = end - len(data)
            break
        position = end
    some = f"at least {missing} bytes are missing, and" if missing else "so"
    return (
        f"truncated at {len(data)} bytes: {some} is the list of what is in it, from its end; the "
        "download broke off: get it again"
    )
