"""Pickles as bytes, for the writers: opcodes, and the few shapes that they make together.

Written here and not by ``pickle``, which would hold a copy of every tensor until the end
(https://docs.python.org/3/library/pickletools.html).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

MARK, TUPLE, REDUCE, BUILD, PERSISTENT_ID = b"(", b"t", b"R", b"b", b"Q"
TRUE, FALSE, NONE = b"\x88", b"\x89", b"N"
DICT, SET_ITEMS, STOP = b"}", b"u", b"."


def protocol(version: int) -> bytes:
    """How every pickle begins."""
    return b"\x80" + bytes([version])


def text(value: str) -> bytes:
    """A str."""
    encoded = value.encode("utf-8")
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def data_head(count: int) -> bytes:
    """What stands before a ``bytes`` of ``count``, from protocol 4 on."""
    return b"\x8e" + struct.pack("<Q", count)


def integer(value: int) -> bytes:
    """An int of up to 64 bits."""
    return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)


def global_(module: str, name: str) -> bytes:
    """What is called ``name`` in ``module``."""
    return f"c{module}\n{name}\n".encode()


def tuple_(*items: bytes) -> bytes:
    """A tuple."""
    return MARK + b"".join(items) + TUPLE


def integers(values: Sequence[int]) -> bytes:
    """A tuple of ints."""
    return tuple_(*map(integer, values))


def call(function: bytes, *arguments: bytes) -> bytes:
    """The result of a call."""
    return function + tuple_(*arguments) + REDUCE
