"""What the safetensors package refuses is refused here too, over thousands of headers."""

from __future__ import annotations

import json
import random
import struct
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import safetensors

import weight_port
from weight_port.formats import safetensors as safetensors_file
from weight_port.formats.safetensors_header import DTYPES
from weight_port.storage.buffers import dtype_called
from weight_port.storage.sources import view_file

Fields = dict[str, Any]
Change = Callable[[random.Random, list[tuple[str, Fields]], dict[str, Any]], None]
SIZES = {"F64": 8, "F32": 4, "F16": 2, "I64": 8, "I8": 1, "U16": 2, "BOOL": 1, "C64": 8, "BF16": 2}
MAX = 2**64 - 1


def sound(rng: random.Random) -> list[tuple[str, Fields]]:
    """Entries of a sound file, some of them of size zero, in any order."""
    entries, at = [], 0
    for number in range(rng.randint(0, 4)):
        dtype = rng.choice(list(SIZES))
        shape = [rng.choice([0, 1, 1, 2, 3]) for _ in range(rng.randint(0, 3))]
        end = at + int(np.prod(shape)) * SIZES[dtype]
        fields = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
        entries.append((f"t{number}", fields))
        at = end
    rng.shuffle(entries)
    return entries


def _any(rng: random.Random, entries: list[tuple[str, Fields]]) -> Fields:
    return rng.choice(entries)[1] if entries else {}


def shift(rng, entries, _) -> None:
    fields = _any(rng, entries)
    if isinstance(offsets := fields.get("data_offsets"), list) and len(offsets) == 2:
        side = rng.randrange(2)
        near = offsets[side] + rng.choice([-8, -4, -1, 1, 4, 8])
        offsets[side] = rng.choice([near, near, -1, MAX, 2**64])


def move(rng, entries, _) -> None:
    """Both offsets: a hole, an overlap, or two tensors on the same bytes."""
    fields, by = _any(rng, entries), rng.choice([-8, -4, -1, 1, 4, 8])
    if isinstance(offsets := fields.get("data_offsets"), list):
        fields["data_offsets"] = [offset + by for offset in offsets]


def share(rng, entries, _) -> None:
    if entries:
        entries.append((f"s{rng.random()}", json.loads(json.dumps(_any(rng, entries)))))


def reshape(rng, entries, _) -> None:
    fields = _any(rng, entries)
    size = rng.choice([0, 1, 2, -1, MAX, 2**62, 2**64, 3])
    if isinstance(shape := fields.get("shape"), list):
        fields["shape"] = rng.choice([[*shape, size], [size, *shape]])


def retype(rng, entries, _) -> None:
    wrong = ["f32", "F8_E4M3", "F4", "X", "", None, 3, ["F32"], "BOOL", "I8", "F16"]
    _any(rng, entries)["dtype"] = rng.choice(wrong)


def strange(rng, entries, _) -> None:
    """A value of another kind in some place."""
    fields = _any(rng, entries)
    wrong = [None, True, 1.0, -0.0, "1", [], {}, [1.0], [True], [None], [0, 0, 0], [0]]
    fields[rng.choice(["dtype", "shape", "data_offsets", "more"])] = rng.choice(wrong)


def lose(rng, entries, _) -> None:
    _any(rng, entries).pop(rng.choice(["dtype", "shape", "data_offsets"]), None)


def about(rng, _, more) -> None:
    values = [{}, {"a": "b"}, {"a": 1}, {"a": None}, {"a": ["b"]}, {"a": {}}, [], [1], "a", 1, None]
    more["__metadata__"] = rng.choice([*values, True, {"a": "b", "c": False}])


def deep(rng, entries, _) -> None:
    value: Any = 1
    for _ in range(rng.choice([1, 5, 124, 125, 126, 127, 500])):
        value = [value]
    _any(rng, entries)["more"] = value


CHANGES: list[Change] = [shift, move, share, reshape, retype, strange, lose, about, deep]
TEXTS = [
    ("-0", lambda text: text.replace("[0,", "[-0,", 1)),
    ("0.0", lambda text: text.replace("[0,", "[0.0,", 1)),
    ("1e0", lambda text: text.replace("[1", "[1e0", 1)),
    ("leading zero", lambda text: text.replace("[1", "[01", 1)),
    ("spaces", lambda text: f"  {text}   \n\t\r "),
    ("NUL after it", lambda text: text + "\0"),
    ("form feed", lambda text: text + "\f"),
    ("a mark", lambda text: "\ufeff" + text),
    ("no comma", lambda text: text.replace(",", " ", 1)),
    ("a comma more", lambda text: text.replace("}", ",}", 1)),
    ("two documents", lambda text: text + text),
    ("NaN", lambda text: text.replace('"shape"', '"more":NaN,"shape"', 1)),
    ("out of range", lambda text: text.replace('"shape"', '"more":1e999,"shape"', 1)),
    ("half a pair", lambda text: text.replace('"t0"', '"\\ud800"', 1)),
    ("a pair", lambda text: text.replace('"t0"', '"\\ud83d\\ude00"', 1)),
    ("half a pair in a list", lambda text: text.replace('"shape"', '"x":["\\udc00"],"shape"', 1)),
    ("escaped", lambda text: text.replace('"shape"', '"sh\\u0061pe"', 1)),
    ("a field twice", lambda text: text.replace('"shape"', '"dtype":"F32","shape"', 1)),
    ("a control character", lambda text: text.replace('"t0"', '"t\n0"', 1)),
    ("a bad escape", lambda text: text.replace('"t0"', '"\\x00"', 1)),
    ("the end is missing", lambda text: text[:-1]),
    ("as it is", lambda text: text),
]


def generated(seed: int) -> bytes:
    """A file that is sound or has a fault or two."""
    rng = random.Random(seed)
    entries, more = sound(rng), {}
    size = max((fields["data_offsets"][1] for _, fields in entries), default=0)
    for _ in range(rng.choice([0, 1, 1, 1, 2])):
        rng.choice(CHANGES)(rng, entries, more)
    size += rng.choice([0, 0, 0, 0, 0, -1, 1, 8])
    text = json.dumps({**more, **dict(entries)}, separators=(",", ":"))
    if rng.random() < 0.4:
        text = rng.choice(TEXTS)[1](text)
    header = text.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(header)) + header + bytes(i % 2 for i in range(max(0, size)))


def package(data: bytes) -> dict[str, np.ndarray] | None:
    """What the package reads, None where it refuses, or where NumPy has no such array."""
    try:
        listed = safetensors.deserialize(data)
        return {name: _array(info["data"], info["dtype"], info["shape"]) for name, info in listed}
    except (safetensors.SafetensorError, KeyError, ValueError, OverflowError):
        return None


def _array(raw: bytes, dtype: str, shape: list[int]) -> np.ndarray:
    return np.frombuffer(raw, dtype_called(DTYPES[dtype])).reshape(shape)


def ours(data: bytes) -> dict[str, np.ndarray] | None:
    """The same of this package; any exception but the public one fails the test."""
    try:
        return safetensors_file.read(view_file("x", "x", memoryview(data), {})).tensors
    except weight_port.FormatError:
        return None


def test_the_verdict_is_the_packages_on_thousands_of_headers(same_bits) -> None:
    verdicts: Counter[bool] = Counter()
    for seed in range(6000):
        data = generated(seed)
        theirs, mine = package(data), ours(data)
        assert (theirs is None) == (mine is None), (seed, data[8:300])
        if theirs is not None and mine is not None:
            same_bits(mine, theirs)
        verdicts[theirs is None] += 1
    assert min(verdicts.values()) > 1200, "the generator makes both kinds"


@pytest.mark.parametrize("change", [change for _, change in TEXTS], ids=[name for name, _ in TEXTS])
def test_every_text_is_judged_as_the_package_judges_it(change) -> None:
    """A sound file whose header is written otherwise."""
    header = (
        '{"t0":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        '"t1":{"dtype":"I8","shape":[1],"data_offsets":[4,5]}}'
    )
    encoded = change(header).encode("utf-8", "surrogatepass")
    data = struct.pack("<Q", len(encoded)) + encoded + bytes(5)
    assert (package(data) is None) == (ours(data) is None)


def by_hand(header: str, count: int = 16) -> bytes:
    encoded = header.encode()
    return struct.pack("<Q", len(encoded)) + encoded + bytes(range(count))


W = '{"dtype":"F32","shape":[4],"data_offsets":[0,16]}'
BYTES = '{{"dtype":"I8","shape":[4],"data_offsets":[{},{}]}}'
FAULTS = {
    "same bytes": (f'{{"v":{W},"w":{W}}}', "'w' begins at byte 0 of the data, not at 16: overlaps"),
    "a hole": (
        f'{{"v":{BYTES.format(0, 4)},"w":{BYTES.format(12, 16)}}}',
        "'w' begins at byte 12 of the data, not at 4: bytes before it are no tensor's",
    ),
    "bytes before": (W.join(['{"w":', "}"]).replace("[0,16]", "[4,16]").replace("[4]", "[3]"),
                     "'w' begins at byte 4 of the data, not at 0"),
    "bytes after": (W.join(['{"w":', "}"]).replace("[0,16]", "[0,8]").replace("[4]", "[2]"),
                    "8 bytes after its last tensor"),
    "a number as metadata": (f'{{"__metadata__":{{"a":1}},"w":{W}}}', "from texts to texts"),
    "a list as metadata": (f'{{"__metadata__":["a"],"w":{W}}}', "from texts to texts"),
    "a field twice": ('{"w":{"dtype":"F32",' + W[1:] + "}", "'dtype' stands there twice"),
    "metadata twice": (
        f'{{"__metadata__":{{"a":"b"}},"__metadata__":{{"a":"c"}},"w":{W}}}',
        "'__metadata__' stands there twice",
    ),
    # These two the package takes, and keeps the last; the format forbids them.
    "a tensor twice": (f'{{"w":{W},"w":{W}}}', "'w' stands there twice"),
    "a key of metadata twice": (
        f'{{"__metadata__":{{"a":"b","a":"c"}},"w":{W}}}',
        "'a' stands there twice",
    ),
    "empty in the midst": (
        f'{{"z":{{"dtype":"F32","shape":[0],"data_offsets":[4,4]}},"w":{W}}}',
        "'z' begins at byte 4 of the data, not at 16: overlaps another",
    ),
    "a size past 64 bits": (
        f'{{"z":{{"dtype":"F32","shape":[{2**63},9,0],"data_offsets":[0,0]}},"w":{W}}}',
        "damaged entry of tensor 'z': a shape of",
    ),
    "too deep": (f'{{"w":{W[:-1]},"x":{"[" * 126}1{"]" * 126}}}}}', "nested more than 127 deep"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_layout_that_deceives_is_an_error_that_says_what(tmp_path, name: str) -> None:
    header, said = FAULTS[name]
    path = tmp_path / "x.safetensors"
    path.write_bytes(by_hand(header))
    with pytest.raises(weight_port.FormatError, match=said) as raised:
        weight_port.read(path)
    assert str(raised.value).startswith(f"{path}: ")
    with pytest.raises(weight_port.FormatError):
        safetensors_file.read_metadata(path)


def test_the_dtypes_that_numpy_has_are_read() -> None:
    assert {dtype for dtype in DTYPES if dtype in SIZES} == SIZES.keys()
