"""Protobuf's wire format, as far as Paddle's messages use it.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
_FIXED = {EIGHT_BYTES: 8, FOUR_BYTES: 4}


def varint(data: memoryview, position: int) -> tuple[int, int]:
    """(value, where it ends) of an unsigned integer of up to 64 bits; raises ValueError."""
    value = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if not byte & 0x80:
            return value, position
    raise ValueError("endless varint")


def encode_varint(value: int) -> bytes:
    """The bytes that ``varint`` reads."""
    encoded = b""
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of a message: an int for a varint, the bytes of anything else.

    Raises ValueError for bytes that are no message.
    """
    position = 0
    while position < len(data):
        tag, position = varint(data, position)
        kind = tag & 7
        if kind == VARINT:
            number, position = varint(data, position)
            yield tag >> 3, number
            continue
        if kind == BYTES:
            length, position = varint(data, position)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise ValueError(f"wire type {kind}")
        if length > len(data) - position:
            raise ValueError(f"a field of {length} bytes where {len(data) - position} are left")
        yield tag >> 3, data[position : position + length]
        position += length


def messages(data: memoryview, number: int) -> Iterator[memoryview]:
    """The messages (or texts) in one field of a message; raises ValueError."""
    for found, value in fields(data):
        if found == number:
            if isinstance(value, int):
                raise ValueError(f"field {number} holds a number, not a message")
            yield value


def message(data: memoryview, number: int) -> memoryview:
    """The first message in one field, empty where there is none; raises ValueError."""
    return next(messages(data, number), memoryview(b""))


def text(data: memoryview, number: int) -> str:
    """The first text in one field of a message, empty where there is none; raises ValueError."""
    return bytes(message(data, number)).decode("utf-8")


def integers(data: memoryview, number: int) -> list[int]:
    """The integers in one field of a message, packed or not; raises ValueError."""
    found: list[int] = []
    for at, value in fields(data):
        if at != number:
            continue
        if isinstance(value, int):
            found.append(value)
            continue
        position = 0
        while position < len(value):
            item, position = varint(value, position)
            found.append(item)
    return found
