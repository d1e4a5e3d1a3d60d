"""Event files: a training's curves as TensorBoard and VisualDL read them, without either.

Both keep protobuf messages one after another, each after its length as a little-endian uint64; in
TensorBoard's event files the length and the message are followed by their masked CRC-32C
(TensorFlow's ``record_writer.h``). The bytes follow from the history alone, so a file grows by
appending, and a training that was resumed has the same one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from weight_port.storage import disk
from weight_port.storage.protobuf import BYTES, EIGHT_BYTES, FOUR_BYTES, VARINT, encode_varint

Line = Mapping[str, Any]
Message = Callable[[Line, str, float], bytes]
# A curve's tag in both -> its key in a line of the log.
CURVES = {
    "loss/train": "train_loss",
    "loss/test": "test_loss",
    "accuracy/train": "train_accuracy",
    "accuracy/test": "test_accuracy",
    "rate": "rate",
    "images_per_second": "images_per_second",
}


def _table() -> Iterator[int]:
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # Castagnoli's, reflected
        yield value


_TABLE = tuple(_table())


def crc32c(data: bytes) -> int:
    """Castagnoli's checksum: RFC 3720, appendix B.4."""
    checksum = 0xFFFFFFFF
    for byte in data:
        checksum = checksum >> 8 ^ _TABLE[(checksum ^ byte) & 0xFF]
    return checksum ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    """TFRecord's masked checksum: a checksum of bytes that hold checksums is a poor one."""
    checksum = crc32c(data)
    return struct.pack("<I", ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def frame(message: bytes) -> bytes:
    """A message as a record of an event file."""
    length = struct.pack("<Q", len(message))
    return length + _masked(length) + message + _masked(message)


def _field(number: int, kind: int, content: bytes) -> bytes:
    """A field of a message; bytes and messages come after their length."""
    length = encode_varint(len(content)) if kind == BYTES else b""
    return encode_varint(number << 3 | kind) + length + content


def _double(number: int, value: float) -> bytes:
    return _field(number, EIGHT_BYTES, struct.pack("<d", value))


def _float(number: int, value: float) -> bytes:
    return _field(number, FOUR_BYTES, struct.pack("<f", value))


def _integer(number: int, value: int) -> bytes:
    return _field(number, VARINT, encode_varint(value))


def _event(line: Line, tag: str, value: float) -> bytes:
    """tensorflow.Event with a Summary of one value: wall_time 1, step 2, summary 5."""
    scalar = _field(1, BYTES, tag.encode()) + _float(2, value)
    summary = _field(5, BYTES, _field(1, BYTES, scalar))
    return _double(1, line.get("time", 0.0)) + _integer(2, line["epoch"]) + summary


def _record(line: Line, tag: str, value: float) -> bytes:
    """visualdl.Record of one value: id 1, tag 2, timestamp 3 in ms, value 4."""
    when = round(1000 * line.get("time", 0.0))
    scalar = _integer(1, line["epoch"]) + _field(2, BYTES, tag.encode())
    return _field(1, BYTES, scalar + _integer(3, when) + _float(4, value))


def _scalars(history: Sequence[Line], message: Message) -> Iterator[bytes]:
    for line in history:
        for tag, key in CURVES.items():
            yield message(line, tag, line[key])


def tensorboard(history: Sequence[Line]) -> bytes:
    """An event file; its first record says which version it is."""
    first = history[0].get("time", 0.0) if history else 0.0
    version = _double(1, first) + _field(3, BYTES, b"brain.Event:2")
    return b"".join(map(frame, (version, *_scalars(history, _event))))


def visualdl(history: Sequence[Line]) -> bytes:
    """A file of VisualDL's records."""
    messages = _scalars(history, _record)
    return b"".join(struct.pack("<Q", len(message)) + message for message in messages)


# By these names the programs know their files.
FILES = {"events.out.tfevents.0.training": tensorboard, "vdlrecords.0.training.log": visualdl}


def write(out: Path, history: Sequence[Line]) -> None:
    """Write both files in ``out``.

    A file that holds the history's beginning is appended to, any other is replaced: a program that
    shows a growing file keeps it open, and would miss a new one.
    """
    for name, render in FILES.items():
        path, content = out / name, render(history)
        old = path.read_bytes() if path.exists() else None
        if old is not None and content.startswith(old):
            with open(path, "ab") as stream:
                stream.write(content[len(old) :])
        else:
            with disk.new_file(path, force=True) as stream:
                stream.write(content)
