"""Files made to take far more time or memory than their size: refused within both bounds.

Each is a quarter of a megabyte of what once took memory of up to 130 times its size, or time that
grew with the square of it or worse. ``tests/fuzz`` looks for more of them, in small inputs.
"""

from __future__ import annotations

import json
import pickle
import struct
import time
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

from tests.fuzz import harness, write_corpus
from weight_port.formats import npz, paddle_program, pth
from weight_port.pickles import writer as op
from weight_port.storage.protobuf import encode_varint

SIZE = 1 << 18
LARGE = np.zeros(SIZE // 16, np.float32)  # a quarter of such a file
Make = Callable[[], bytes]


def filled(head: bytes, unit: bytes, tail: bytes = b".") -> bytes:
    return head + unit * ((SIZE - len(head) - len(tail)) // len(unit)) + tail


def doubled(levels: int = 60) -> bytes:
    """A tuple of one tuple twice, of one tuple twice …: small to hold, endless to print."""
    return b")" + b"".join(b"q" + bytes([n, ord("h"), n]) + b"\x86" for n in range(1, levels))


# -- pickles

P4 = op.protocol(4)
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
ONE_FLOAT = write_corpus._array(np.zeros(1, np.float32))
STATE = (
    b"(K\x01(K\x01tcnumpy\ndtype\n(" + op.text("f4") + b"tR\x89" + op.data_head(4) + b"1234tq\x02"
)


def slices_in_every_dict() -> bytes:
    table = {"w": {"slices": ["a"], "OriginShape": (LARGE.size,)}}
    joined = pickle.dumps(table, protocol=2)[2:-1]  # its memo starts at 0; the array is at 200
    inside = b"}(" + op.text("a") + b"h\xc8" + op.text("UnpackBigParamInfor@@") + joined + b"u"
    dicts = b"".join(b"J" + struct.pack("<i", n) + inside for n in range(500))
    return P4 + write_corpus._array(LARGE) + b"q\xc80}(" + dicts + b"u."


def one_array_under_many_names() -> bytes:
    names = b"".join(b"\x8c\x04%04xh\x01s" % n for n in range(400))
    return P4 + write_corpus._array(LARGE) + b"q\x010}" + names + b"."


def dicts_in_dicts() -> bytes:
    levels = b"".join(
        b"0}q" + bytes([n + 1]) + b"(" + b"".join(b"K%ch%c" % (k, n) for k in range(200)) + b"u"
        for n in range(8)
    )
    return P4 + b"}q\0" + op.text("w") + ONE_FLOAT + b"s" + levels + b"."


def keys_of_one_hash() -> bytes:
    keys = (((n + 1) * ((1 << 61) - 1)).to_bytes(11, "little") for n in range(SIZE // 14))
    return P4 + b"}(" + b"".join(b"\x8a\x0b" + key + b"N" for key in keys) + b"u."


PICKLES: dict[str, tuple[Make, str]] = {
    "lists": (lambda: filled(P4 + b"]", b"]a"), "far more memory"),
    "dicts": (lambda: filled(P4 + b"]", b"}K\x01Nsa"), "far more memory"),
    "a memo": (lambda: filled(P4 + b"N", b"\x94"), "far more memory"),
    "bytes": (lambda: filled(P4 + b"]", b"C\0a"), "far more memory|holds a list"),
    "texts": (lambda: filled(P4 + b"]", b"\x8c\x02aba"), "far more memory|holds a list"),
    "dtypes": (
        lambda: filled(P4 + b"cnumpy\ndtype\n(" + op.text("f4") + b"tq\x020cnumpy\ndtype\nq\x010]",
                       b"h\x01h\x02Ra"), "far more memory"),
    "arrays": (lambda: filled(P4 + RECONSTRUCT + b"q\x03)R" + STATE + b"b0]", b"h\x03)Rh\x02ba"),
               "far more memory"),
    "a state over and over": (
        lambda: filled(P4 + RECONSTRUCT + b")R" + STATE + b"b", b"h\x02b"), "set twice"),
    "arguments": (
        lambda: filled(P4 + RECONSTRUCT + b"q\x01(" + b"N" * 60_000 + b"tq\x020", b"h\x01h\x02R0"),
        "a call with 60000 arguments"),
    "marks": (lambda: filled(P4, b"(" * 9_000 + b"0" * 9_000), "0 values"),
    "keys of one hash": (keys_of_one_hash, "a huge number as a key"),
    "dicts in dicts": (dicts_in_dicts, "stands in two places"),
    "slices in every dict": (slices_in_every_dict, "slices take more bytes than the file has"),
    "one array, many names": (one_array_under_many_names, "the same bytes many times over"),
    "an endless dtype": (lambda: P4 + b"cnumpy\ndtype\n" + doubled() + b"\x85R.", "a tuple is not"),
    "an endless codec": (
        lambda: P4 + b"c_codecs\nencode\n" + op.text("a") + doubled() + b"\x86R.", "to a tuple"),
    "an endless expression": (
        lambda: P4 + b"cbuiltins\neval\n" + doubled() + b"}\x86R.", "eval of a tuple"),
    "an endless slice": (
        lambda: P4 + b"}" + op.text("UnpackBigParamInfor@@") + b"}" + op.text("w") + b"}"
        + op.text("slices") + b"]" + doubled() + b"asss.", "table"),
}  # fmt: skip


# -- torch's


def legacy(body: bytes, rest: bytes = b"") -> bytes:
    head = (pth._LEGACY_MAGIC, 1001, {})
    return b"".join(pickle.dumps(value, protocol=2) for value in head) + b"\x80\x02" + body + rest


def storage(count: int) -> bytes:
    identity = op.text("storage") + b"ctorch\nFloatStorage\n" + op.text("0") + op.text("cpu")
    return op.MARK + identity + op.integer(count) + op.TUPLE + op.PERSISTENT_ID


REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def storage_under_many_names() -> bytes:
    count = LARGE.size
    tensor = REBUILD + b"(" + storage(count) + b"K\0" + op.integers([count]) + op.integers([1])
    names = b"".join(b"\x8c\x04%04xh\x01s" % n for n in range(400))
    body = tensor + b"\x89NtRq\x010}" + names + b"."
    keys = pickle.dumps(["0"], protocol=2)
    return legacy(body, keys + struct.pack("<q", count) + LARGE.tobytes())


def long_shapes() -> bytes:
    shape = b"(" + b"K\x01" * 40_000 + b"tq\x030"
    body = b"(" + storage(4) + b"K\0h\x03h\x03\x89Ntq\x050" + REBUILD + b"q\x010"
    return legacy(filled(shape + body, b"h\x01h\x05R0"))


PTH: dict[str, tuple[Make, str]] = {
    "a storage under many names": (storage_under_many_names, "the same bytes many times over"),
    "long shapes": (long_shapes, "a shape of 40000 dimensions"),
    "endless keys": (lambda: legacy(b"}.", b"\x80\x02]" + doubled() + b"a."), "key is no text"),
    "deep keys": (
        lambda: legacy(b"}.", b"\x80\x02])" + b"\x85" * 9_000 + b"a."), "key is no text"),
}  # fmt: skip


# -- zips


def central_directory(count: int, data: bytes) -> bytes:
    """A member, and a directory that names it ``count`` times."""
    head = b"PK\x03\x04" + struct.pack("<5H3I2H", 20, 0, 0, 0, 0, 0, len(data), len(data), 5, 0)
    local = head + b"a.npy" + data
    entries = b"".join(
        b"PK\x01\x02"
        + struct.pack("<6H3I5H2I", 20, 20, 0, 0, 0, 0, 0, len(data), len(data), 9, *[0] * 6)
        + b"%05d.npy" % n
        for n in range(count)
    )
    sizes = struct.pack("<4H2IH", 0, 0, count, count, len(entries), len(local), 0)
    return local + entries + b"PK\x05\x06" + sizes


def npy(array: np.ndarray) -> bytes:
    return npz._head(array) + array.tobytes()


def bomb() -> bytes:
    return write_corpus._zip({"a.npy": npy(np.zeros(8 << 20, np.uint8))}, zipfile.ZIP_DEFLATED)


def bombs() -> bytes:
    members = {f"{n}.npy": npy(np.zeros(1 << 19, np.uint8)) for n in range(16)}
    return write_corpus._zip(members, zipfile.ZIP_DEFLATED)


NPZ: dict[str, tuple[Make, str]] = {
    "a member many times": (lambda: central_directory(3_000, npy(LARGE)), "a zip bomb"),
    "an endless directory": (lambda: central_directory(4_500, b""), "not NumPy's array format"),
    "a bomb": (bomb, "a zip bomb"),
    "many small bombs": (bombs, "a zip bomb"),
}


# -- JSON


def header(text: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text)) + text + data


def overlapping() -> bytes:
    entry = {"dtype": "F32", "shape": [LARGE.size], "data_offsets": [0, LARGE.nbytes]}
    names = {f"w{n}": entry for n in range(1_000)}
    return header(json.dumps(names).encode(), LARGE.tobytes())


def pir(ops: bytes) -> bytes:
    start = b'{"base_code":{"magic":"pir"},"program":{"regions":[{"blocks":[{"ops":['
    return start + ops + b'{"#":"q","I":[]}]}]}]}}'


def keys(count: int) -> bytes:
    return header(b"{" + b"".join(b'"%05x":1,' % n for n in range(count)) + b'"a":1}')


SAFETENSORS: dict[str, tuple[Make, str]] = {
    "lists": (lambda: header(b'{"a":[' + b"[]," * (SIZE // 3) + b"1]}"), "far more memory"),
    "dicts": (lambda: header(b'{"a":[' + b'{"a":1},' * (SIZE // 8) + b"1]}"), "far more memory"),
    "texts": (lambda: header(b'{"a":[' + b'"ab",' * (SIZE // 5) + b"1]}"), "damaged entry"),
    "keys": (lambda: keys(SIZE // 10), "far more memory|damaged entry"),
    "overlapping tensors": (overlapping, "overlaps another"),
}


# -- programs and records


def field(number: int, value: int | bytes) -> bytes:
    return write_corpus._field(number, value)


def empty_record(dims: bytes = b"\x10\0") -> bytes:
    return bytes(16) + struct.pack("<i", 2 + len(dims)) + b"\x08\x05" + dims


def hashes() -> bytes:
    numbers = ((n + 1) * ((1 << 61) - 1) for n in range(SIZE // 80))
    ops = (b'{"#":"p","A":[0,0,0,"x"],"O":{"%%":%d,"TT":{"D":[0,[]]}}},' % n for n in numbers)
    return pir(b"".join(ops))


def full(unit: bytes) -> bytes:
    """Units of a message, one more than are read of a program in these tests."""
    return unit * (FIELDS + 1)


FIELDS = 20_000  # instead of half a million, which take seconds where memory is traced


def with_levels(count: int) -> bytes:
    """A record with LoD levels of no sequence."""
    levels = struct.pack("<Q", count) + bytes(8) * count
    return bytes(4) + levels + bytes(4) + struct.pack("<i", 4) + b"\x08\x05\x10\x04" + bytes(16)


RELU = field(4, field(3, b"relu"))
DIMS = b"\x10" + encode_varint(256)
WEIGHTS = write_corpus._combined_weights()
PROGRAMS: dict[str, tuple[bytes, bytes, str]] = {
    "blocks": (b"\x0a\0" * (SIZE // 2), WEIGHTS, "more than 1000 blocks"),
    "inputs": (
        field(1, field(4, field(3, b"mul") + field(1, b"") * (SIZE // 2))), WEIGHTS, "0 variables"),
    "names": (field(1, field(4, field(1, b"\x12\x02ab" * (SIZE // 4)))), WEIGHTS, "0 variables"),
    "dims": (
        field(1, field(3, field(2, field(1, 7) + field(3, field(1, DIMS * (SIZE // 3))))
                       + field(3, 1))), WEIGHTS, "an endless shape"),
    "LoD levels": (b"", with_levels(SIZE // 8), "32768 LoD levels"),
    "a few LoD levels more": (b"", with_levels(33), "33 LoD levels"),
    "operands of one hash": (hashes(), WEIGHTS, "not a Paddle program"),
    "empty records": (b"", empty_record() * (SIZE // 24), "all but empty|no network of ours"),
    "a record's dims": (b"", empty_record(DIMS * (SIZE // 3)), "an endless shape"),
}  # fmt: skip

FULL: dict[str, bytes] = {
    "variables": field(1, full(b"\x1a\0") + RELU),
    "a variable's fields": field(1, field(3, full(b"\x20\x01")) + RELU),
    "unknown numbers": field(1, full(b"\x78\x01") + RELU),
    "unknown texts": field(1, full(b"\x7a\0") + RELU),
    "unknown fields of the program": full(b"\x7a\0"),
    "outputs": field(1, field(4, field(3, b"mul") + full(b"\x12\0"))),
    "attributes": field(1, field(4, field(3, b"mul") + full(b"\x22\0"))),
    "many ops": field(1, full(b"\x22\0")),
}


def checked(target: str, data: bytes, said: str) -> None:
    """Within the bounds, and with the error that was meant."""
    read = harness.TARGETS[target]
    harness.check(read, data)
    with pytest.raises(harness.WeightPortError, match=said):
        read(data)


ONE_FILE = {"pdparams": PICKLES, "pth": PTH, "npz": NPZ, "safetensors": SAFETENSORS}
CASES = [(target, name) for target, table in ONE_FILE.items() for name in table]


@pytest.mark.parametrize(("target", "name"), CASES)
def test_a_file_out_of_proportion_is_refused_within_bounds(target: str, name: str) -> None:
    make, said = ONE_FILE[target][name]
    checked(target, make(), said)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_out_of_proportion_is_refused_within_bounds(name: str) -> None:
    desc, weights, said = PROGRAMS[name]
    checked("combined", b"".join((struct.pack("<I", len(desc)), desc, bytes(4), weights)), said)


@pytest.mark.parametrize("name", FULL)
def test_a_program_of_endless_fields_is_refused(monkeypatch, name: str) -> None:
    monkeypatch.setattr(paddle_program, "_MOST_FIELDS", FIELDS)
    desc = FULL[name]
    data = b"".join((struct.pack("<I", len(desc)), desc, bytes(4), WEIGHTS))
    checked("combined", data, f"more than {FIELDS} fields")


def test_two_million_variables_take_less_than_two_seconds() -> None:
    desc = field(1, b"\x1a\0" * 2_000_000 + RELU)
    start = time.process_time()
    with pytest.raises(harness.WeightPortError, match="more than 500000 fields"):
        paddle_program.read_program(memoryview(desc), "x")
    assert time.process_time() - start < harness.SECONDS
