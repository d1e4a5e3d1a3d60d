"""The fuzz target without the fuzzer: over its corpus, and over readers with planted faults."""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import harness, write_corpus
from weight_port.errors import FormatError, WeightPortError
from weight_port.formats import (
    npz,
    paddle1,
    paddle_program,
    pdiparams,
    pdparams,
    pth_writer,
    safetensors,
)
from weight_port.formats.contents import Contents
from weight_port.pickles.reader import Reader
from weight_port.storage import protobuf

SEEDS = write_corpus.seeds()
CORPUS = {f"{path.parent.name}/{path.name}": path for path in sorted(harness.CORPUS.glob("*/*"))}


def test_the_corpus_is_what_the_script_writes_and_findings() -> None:
    written = {f"{target}/{name}": data for target, files in SEEDS.items() for name, data in
               files.items()}  # fmt: skip
    there = {name: path.read_bytes() for name, path in CORPUS.items() if "crash-" not in name}
    # What zlib and HDF5 make of one input differs from build to build.
    for files in (written, there):
        for name in ("npz/compressed", "hdf5/h5py", "hdf5/h5py-latest", "keras/h5py"):
            files.pop(name)
    assert there == written
    assert SEEDS.keys() == harness.TARGETS.keys()
    assert sum(path.stat().st_size for path in CORPUS.values()) < 200_000


@pytest.mark.parametrize("name", CORPUS)
def test_the_harness_finds_nothing_in_the_corpus(name: str) -> None:
    harness.check(harness.TARGETS[name.partition("/")[0]], CORPUS[name].read_bytes())


@pytest.mark.parametrize("target", SEEDS)
def test_the_seeds_are_read(target: str) -> None:
    """A seed that is refused at once would lead the fuzzer nowhere."""
    for name, data in SEEDS[target].items():
        if name == "nameless":  # for the search by shapes, of which it has no network's
            continue
        assert all(contents.tensors for contents in harness.TARGETS[target](data)), name


# -- the gate can fail


def _error(message: str) -> Callable[[bytes], list[Contents]]:
    def read(data: bytes) -> list[Contents]:
        raise FormatError(message)

    return read


def _key_error(data: bytes) -> list[Contents]:
    return {}["w"]


def _takes(data: bytes) -> list[Contents]:
    return [Contents({"w": np.zeros(harness.CONSTANT + 10 * len(data), np.uint8)})]


def _computes(data: bytes) -> list[Contents]:
    until = time.process_time() + harness.SECONDS
    while time.process_time() < until:
        pass
    return []


def _sleeps(data: bytes) -> list[Contents]:
    time.sleep(harness.WAITING)
    return []


FAULTS = {
    "another exception": (_key_error, KeyError, "w"),
    "memory": (_takes, harness.Offence, "bytes of memory for 2; "),
    "time": (_computes, harness.Offence, "s for 2 bytes"),
    "waiting": (_sleeps, harness.Offence, "s for 2 bytes"),
    "no file in the error": (_error("damaged"), harness.Offence, "an error without its file"),
    "an endless error": (_error("x/" + "!" * 3000), harness.Offence, "or too long"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(monkeypatch, name: str) -> None:
    read, kind, said = FAULTS[name]
    monkeypatch.setattr(harness, "SECONDS", 0.05)
    monkeypatch.setattr(harness, "WAITING", 0.2)
    with pytest.raises(kind, match=said):
        harness.check(read, b"ab")


def test_tensors_out_of_nothing_are_found() -> None:
    one = np.zeros(1 << 20, np.uint8)
    many = Contents({str(n): one for n in range(7)})
    with pytest.raises(harness.Offence, match="tensors of 7340032 bytes out of 2"):
        harness.check(lambda data: [many], b"ab")


def test_what_is_sound_passes() -> None:
    harness.check(lambda data: [Contents({"w": np.zeros(2)})], b"ab")
    harness.check(_error("x/y: damaged"), b"ab")


# -- property tests: any bytes, and any change of sound ones


def _refuses_or_reads(target: str, data: bytes) -> None:
    try:
        found = harness.TARGETS[target](data)
    except WeightPortError as error:
        assert str(error).startswith("x")  # noqa: PT017 (either outcome is right)
    else:
        assert all(isinstance(array, np.ndarray) for c in found for array in c.tensors.values())


@pytest.mark.parametrize("target", SEEDS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_bytes_are_read_or_refused(target: str, data) -> None:
    head = data.draw(st.sampled_from([b"", *(seed[:40] for seed in SEEDS[target].values())]))
    _refuses_or_reads(target, head + data.draw(st.binary(max_size=200)))


@pytest.mark.parametrize("target", SEEDS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_change_of_a_sound_file_is_read_or_refused(target: str, data) -> None:
    content = bytearray(data.draw(st.sampled_from(list(SEEDS[target].values()))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(at, min(len(content), at + 8)))
        content[at:end] = data.draw(st.binary(max_size=8))
    _refuses_or_reads(target, bytes(content))


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1,
                max_size=12)  # fmt: skip
DTYPES = ["bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64"]


@st.composite
def tensors(draw) -> dict[str, np.ndarray]:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    found = {}
    for name in names:
        shape = draw(st.lists(st.integers(0, 4), max_size=4))
        array = np.arange(int(np.prod(shape))) % 2
        found[name] = array.reshape(shape).astype(draw(st.sampled_from(DTYPES)))
    return found


WRITERS = {
    "pdparams": pdparams.write,
    "pth": pth_writer.write,
    "npz": npz.write,
    "safetensors": safetensors.write,
}


@pytest.mark.parametrize("target", WRITERS)
@settings(max_examples=60, deadline=None)
@given(made=tensors())
def test_what_is_written_is_read(target: str, same_bits, made) -> None:
    (found,) = harness.TARGETS[target](write_corpus._bytes(WRITERS[target], made))
    same_bits(found.tensors, made)


@settings(max_examples=60, deadline=None)
@given(made=tensors())
def test_records_are_read_in_the_order_they_were_written(same_bits, made) -> None:
    data = memoryview(write_corpus._bytes(pdiparams.write, made))
    position, found = 0, []
    while position < len(data):
        array, position = paddle1.read_record(data, "x", position)
        found.append(array)
    same_bits(dict(zip(sorted(made), found, strict=True)), made)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=20) | st.binary(max_size=200),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner)
    | st.dictionaries(st.text(max_size=5) | st.integers(-(2**59), 2**59), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(value=PLAIN, protocol=st.integers(2, 5))
def test_a_pickle_of_plain_data_is_read_as_pickle_reads_it(value, protocol: int) -> None:
    def plain(found):
        if isinstance(found, memoryview):
            return bytes(found)
        if isinstance(found, (list, tuple)):
            return type(found)(map(plain, found))
        return {k: plain(v) for k, v in found.items()} if isinstance(found, dict) else found

    data = memoryview(pickle.dumps(value, protocol=protocol))
    assert plain(Reader(data, pdparams.GLOBALS, "x").read()) == value


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 2**20), st.integers(0, 2**64 - 1) | st.binary())))
def test_a_message_is_read_as_it_was_written(made) -> None:
    message = b"".join(write_corpus._field(number, value) for number, value in made)
    found = [(n, v if isinstance(v, int) else bytes(v)) for n, v in
             protobuf.fields(memoryview(message))]  # fmt: skip
    assert found == made


SHAPES = st.dictionaries(NAMES, st.lists(st.integers(0, 2**31), max_size=5).map(tuple), min_size=1)


@settings(max_examples=100, deadline=None)
@given(shapes=SHAPES, pir=st.booleans())
def test_a_programs_variables_are_read(shapes, pir: bool) -> None:
    make = write_corpus.pir_program if pir else write_corpus.program_desc
    assert paddle_program.read_program(memoryview(make(shapes)), "x").shapes == shapes


def test_the_fuzzer_is_not_needed_here() -> None:
    assert "atheris" not in sys.modules
