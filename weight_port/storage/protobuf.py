"""Protobuf's wire format, as far as Paddle's, ONNX's and Caffe's messages use it.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from weight_port.storage.buffers import MAX_DIMENSIONS

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
_FIXED = {EIGHT_BYTES: 8, FOUR_BYTES: 4}


def varint(data: memoryview, position: int) -> tuple[int, int]:
    """(value, where it ends) of an unsigned integer of up to 64 bits; raises ValueError."""
    if position < len(data) and data[position] < 0x80:
        return data[position], position + 1
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


class Budget:
    """How many fields may still be read: two bytes make one, which takes as long as any other."""

    def __init__(self, most: int) -> None:
        self.most = self.left = most

    def spend(self) -> None:
        """One more field; raises ValueError where there is no end of them."""
        self.left -= 1
        if self.left < 0:
            raise ValueError(f"more than {self.most} fields")


def fields(
    data: memoryview, budget: Budget | None = None
) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of a message: an int for a varint, the bytes of anything else.

    Every field is taken from the ``budget``. Raises ValueError for bytes that are no message.
    """
    position, end = 0, len(data)
    while position < end:
        if budget is not None:
            budget.spend()
        tag = data[position]
        if tag < 0x80:  # most are of one byte, and a call takes longer than the rest of this
            position += 1
        else:
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
        if length > end - position:
            raise ValueError(
                f"a field of {length} bytes where {end - position} are left: truncated (get it "
                "again) or damaged"
            )
        yield tag >> 3, data[position : position + length]
        position += length


def messages(data: memoryview, number: int, budget: Budget | None = None) -> Iterator[memoryview]:
    """The messages (or texts) in one field of a message; raises ValueError."""
    for found, value in fields(data, budget):
        if found == number:
            if isinstance(value, int):
                raise ValueError(f"field {number} holds a number, not a message")
            yield value


def message(data: memoryview, number: int, budget: Budget | None = None) -> memoryview:
    """The first message in one field, empty where there is none; raises ValueError."""
    return next(messages(data, number, budget), memoryview(b""))


def text(data: memoryview, number: int, budget: Budget | None = None) -> str:
    """The first text in one field of a message, empty where there is none; raises ValueError."""
    return str(message(data, number, budget), "utf-8")


def integers(data: memoryview, number: int, budget: Budget | None = None) -> list[int]:
    """The integers in one field of a message, packed or not; raises ValueError.

    No more of them than a shape may have: each would take twenty times its bytes.
    """
    values: list[int] = []
    for at, value in fields(data, budget):
        if len(values) > MAX_DIMENSIONS:
            raise ValueError("an endless shape")
        if at != number:
            continue
        if isinstance(value, int):
            values.append(value)
            continue
        position = 0
        while position < len(value) and len(values) <= MAX_DIMENSIONS:
            item, position = varint(value, position)
            values.append(item)
    return values


_CHUNK = 1 << 16  # bytes of packed varints that are decoded at a time
_LONGEST_VARINT = 10  # bytes


def varints(data: memoryview, dtype: np.dtype) -> np.ndarray:
    """Packed integers as an array, their bits cut to those of ``dtype``; raises ValueError.

    Of the same width unsigned: a negative number is one of 64 bits on the wire.
    """
    chunks = range(0, len(data), _CHUNK)
    count = sum(np.count_nonzero(_bytes(data[at : at + _CHUNK]) < 0x80) for at in chunks)
    values = np.empty(count, dtype)
    position = done = 0
    while position < len(data):
        raw = _bytes(data[position : position + _CHUNK])
        ends = np.flatnonzero(raw < 0x80)
        if not len(ends):
            raise ValueError("endless varint")
        values[done : done + len(ends)] = _decoded(raw, ends).astype(dtype)
        done += len(ends)
        position += int(ends[-1]) + 1
    return values


def _bytes(data: memoryview) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def _decoded(raw: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The integers whose last bytes stand at ``ends``, as uint64."""
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > _LONGEST_VARINT:
        raise ValueError("endless varint")
    values = np.zeros(len(ends), np.uint64)
    for byte in range(int(lengths.max())):
        there = lengths > byte
        bits = (raw[starts[there] + byte] & 0x7F).astype(np.uint64)
        values[there] |= bits << np.uint64(7 * byte)
    return values


class Repeated:
    """A repeated field of fixed-size numbers, which writers pack or don't: its bytes."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data: memoryview | bytearray = memoryview(b"")

    def add(self, value: memoryview) -> None:
        """One more piece; a view as long as there is one."""
        if not self.data:
            self.data = value
            return
        if isinstance(self.data, memoryview):
            self.data = bytearray(self.data)
        self.data += value
