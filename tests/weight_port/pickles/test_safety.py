"""Files from a stranger: nothing is run, no memory is taken that their size does not justify."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import weight_port
from weight_port.formats import pdparams, pth


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def touch(canary: Path) -> bytes:
    return text(f"touch {canary}")


ARRAY = pickle.dumps(np.arange(3, dtype=np.float32), protocol=2)[2:-1]

# name, the pickle's opcodes around a command, what the refusal must name, does pickle run it
HOSTILE = [
    ("global", lambda c: b"cos\nsystem\n" + c + b"\x85R.", "os.system", True),
    ("posix", lambda c: b"cposix\nsystem\n" + c + b"\x85R.", "posix.system", True),
    ("stack global", lambda c: text("os") + text("system") + b"\x93" + c + b"\x85R.",
     "os.system", True),
    ("short names", lambda c: b"\x8c\x02os\x8c\x06system\x93" + c + b"\x85R.", "os.system", True),
    ("inst", lambda c: b"(" + c + b"ios\nsystem\n.", "os.system", True),
    ("inst of what is allowed", lambda c: b"(" + c + b"inumpy\ndtype\n.", "numpy.dtype", False),
    ("persistent id of a function", lambda c: b"cos\nsystem\nQ" + c + b"\x85R.", "os.system",
     False),
    ("build of an allowed name", lambda c: b"cnumpy\ndtype\n" + c + b"b.",
     "sets the state of a type", False),
    ("memoised in a nested dict", lambda c: b"}(" + text("a") + b"}(" + text("f") + b"cos\nsystem\n"
     + b"q\x01uu0h\x01" + c + b"\x85R.", "os.system", True),
    ("obj", lambda c: b"(cos\nsystem\n" + c + b"o.", "os.system", True),
    ("obj of data", lambda c: b"(" + c + b"o.", "calls what is data", False),
    ("newobj", lambda c: b"csubprocess\nPopen\n(" + c + b"t\x81.", "subprocess.Popen", False),
    ("newobj of data", lambda c: c + b")\x81.", "calls what is data", False),
    ("newobj_ex of data", lambda c: c + b")}\x92.", "calls what is data", False),
    ("newobj of what is allowed", lambda c: b"cnumpy\ndtype\n" + c + b"\x85\x81.",
     "calls what is data", False),
    ("behind a bystander", lambda c: b"}(" + text("w") + ARRAY + text("v")
     + b"cargparse\nNamespace\n)\x81}" + text("f") + b"cos\nsystem\n" + c
     + b"\x85Rsbu.", "os.system", True),
    ("through a class", lambda c: text("collections") + text("Counter.__init__.__globals__")
     + b"\x93.", "collections.Counter.__init__.__globals__", False),
    ("through a module", lambda c: text("argparse") + text("_os.system") + b"\x93" + c + b"\x85R.",
     "argparse._os.system", True),
    ("ext1", lambda c: b"\x82\x01" + c + b"\x85R.", r"opcode b'\x82'", False),
    ("ext2", lambda c: b"\x83\x01\x01" + c + b"\x85R.", r"opcode b'\x83'", False),
    ("ext4", lambda c: b"\x84\x01\x01\x01\x01" + c + b"\x85R.", r"opcode b'\x84'", False),
    ("build of a function", lambda c: b"cos\nsystem\n" + c + b"b.", "os.system", False),
    ("build of data", lambda c: c + b"}b.", "sets the state of a str", False),
    ("build of a list", lambda c: b"]" + c + b"b.", "sets the state of a list", False),
    ("build of a type", lambda c: b"cnumpy\nndarray\n}b.", "sets the state of a Global", False),
    ("memoised", lambda c: b"cos\nsystem\nq\x01" + c + b"q\x020h\x01h\x02\x85R.",
     "os.system", True),
    ("in a state dict", lambda c: b"}(" + text("w") + ARRAY + text("v") + b"cos\nsystem\n" + c
     + b"\x85Ru.", "os.system", True),
    ("as a key", lambda c: b"}cos\nsystem\n" + c + b"\x85R" + ARRAY + b"s.", "os.system", True),
    ("in an array's state", lambda c: b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
     b"K\x00\x85C\x01b\x87RK\x01K\x01\x85cos\nsystem\n" + c + b"\x85R\x89C\x00tb.",
     "os.system", True),
    ("popped", lambda c: b"cos\nsystem\n" + c + b"\x85R0}.", "os.system", True),
    ("eval", lambda c: b"cbuiltins\neval\n" + text('__import__("os").system("true")') + b"}\x86R.",
     "builtins.eval of '__import__(\"os\").system(\"true\")'", False),
    ("eval of data with more names", lambda c: b"c__builtin__\neval\n" + text("data") + b"}("
     + text("data") + ARRAY + text("os") + ARRAY + b"u\x86R.", "builtins.eval of 'data'", False),
    ("eval of another name", lambda c: b"cbuiltins\neval\n" + text("date") + b"}" + text("data")
     + ARRAY + b"s\x86R.", "builtins.eval of 'date'", False),
    ("eval of no text", lambda c: b"cbuiltins\neval\nK\x05}\x86R.", "builtins.eval of 5", False),
    ("exec", lambda c: b"cbuiltins\nexec\n" + c + b"\x85R.", "builtins.exec", False),
    ("getattr", lambda c: b"cbuiltins\ngetattr\ncos\n" + c + b"\x86R.", "builtins.getattr", False),
    ("import", lambda c: b"cbuiltins\n__import__\n" + c + b"\x85R.", "builtins.__import__", False),
    ("dotted name", lambda c: text("numpy") + text("dtype.__class__") + b"\x93.",
     "numpy.dtype.__class__", False),
    ("pickle in a pickle", lambda c: b"cpickle\nloads\n" + c + b"\x85R.", "pickle.loads", False),
    ("torch's nested load", lambda c: b"ctorch.storage\n_load_from_bytes\n" + c + b"\x85R.",
     "torch.storage._load_from_bytes", False),
    ("call of a type", lambda c: b"cnumpy\nndarray\n(K\x03tR.", "calls what is data", False),
    ("call of text", lambda c: c + b")R.", "calls what is data", False),
    ("codec", lambda c: b"c_codecs\nencode\n" + c + text("rot13") + b"\x86R.",
     "_codecs.encode to 'rot13'", False),
]  # fmt: skip

BY_NAME = {name: (make, said, runs) for name, make, said, runs in HOSTILE}


def as_pdparams(path: Path, opcodes: bytes) -> Path:
    path = path / "x.pdparams"
    path.write_bytes(b"\x80\x04" + opcodes)
    return path


def as_legacy(path: Path, opcodes: bytes) -> Path:
    path = path / "x.pth"
    head = [pth._LEGACY_MAGIC, 1001, {"little_endian": True}]
    pickles = [pickle.dumps(value, protocol=2) for value in head]
    path.write_bytes(b"".join(pickles) + b"\x80\x02" + opcodes + pickle.dumps([], protocol=2))
    return path


def as_zip(path: Path, opcodes: bytes) -> Path:
    path = path / "x.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + opcodes)
    return path


CONTAINERS = [as_pdparams, as_legacy, as_zip]


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_hostile_pickle_is_refused_by_name_and_nothing_runs(
    tmp_path, name: str, container
) -> None:
    make, said, _ = BY_NAME[name]
    canary = tmp_path / "canary"
    path = container(tmp_path, make(touch(canary)))
    with pytest.raises(weight_port.FormatError) as raised:
        weight_port.read(path)
    # eval is in Paddle's table alone; a torch file has no use of it in any form.
    asked = "__builtin__.eval" if b"__builtin__\neval" in make(b"") else "builtins.eval"
    wanted = asked if name.startswith("eval") and container != as_pdparams else said
    assert wanted in str(raised.value)
    assert str(raised.value).startswith(f"{path}: ")
    assert isinstance(raised.value, weight_port.UnsafeFileError)
    assert "refused" in str(raised.value)
    assert not canary.exists()


@pytest.mark.parametrize("name", [name for name, (*_, runs) in BY_NAME.items() if runs])
def test_the_canary_dies_in_pythons_own_unpickler(tmp_path, name: str) -> None:
    canary = tmp_path / "canary"
    opcodes = b"\x80\x04" + BY_NAME[name][0](touch(canary))
    with contextlib.suppress(Exception):  # the command has run by then
        pickle.loads(opcodes)  # noqa: S301 (the point: this is what weight_port must not do)
    assert canary.exists()


def test_the_canary_would_show_a_table_that_allows_too_much(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(pdparams.GLOBALS, ("os", "system"), os.system)
    path = as_pdparams(tmp_path, BY_NAME["global"][0](touch(tmp_path / "canary")))
    with pytest.raises(weight_port.FormatError, match="holds a int"):
        weight_port.read(path)
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("opcodes", "said"),
    [
        (b"ccollections\nOrderedDict\n" + b"]K\x01a\x85R.", "an OrderedDict made from other than"),
        (b"cbuiltins\ntuple\n(K\x01K\x02K\x03t\x85R.", "other than a name and an array"),
        (b"cnumpy\ndtype\n" + text("f4,O") + b"\x89\x88\x87R.", "is not one of numbers"),
        (b"cnumpy\ndtype\n" + text("V8x") + b"\x89\x88\x87R.", "is not one of numbers"),
        (b"cnumpy\ndtype\n)\x85R.", "is not one of numbers"),
        (b"cnumpy\ndtype\n)R.", "missing 1 required positional argument"),
        (b"\x80\x09.", "pickle protocol 9; 0 to 5 are read"),
        (b"\x97.", "bytes stand outside of the pickle"),
        (b"I5x\n.", "damaged pickle"),
        (b"L" + b"9" * 990 + b"x\n.", "damaged pickle"),
        (b"Sno quotes\n.", "a string without quotes"),
        (b"S'" + b"a" * 70_000, "endless line"),
        (b"R.", "damaged pickle"),
        (b"t.", "no mark on the stack"),
        (b"h\x05.", "damaged pickle"),
        (b"K\x01K\x02.", "2 values at its end"),
        (b".", "0 values at its end"),
        (b"]K\x01K\x02s.", "SETITEM on what is no dict"),
        (b"}(K\x01u.", "SETITEMS with a key but no value"),
        (b"})K\x01s.", "a tuple as a key"),
        (b"}K\x01a.", "APPEND to what is no list"),
        (b"K\x01K\x01\x93.", "STACK_GLOBAL of what are no names"),
        (b"(\x85.", "tuple of too few items"),
        (b"X\x01\x00\x00\x00\xff.", "damaged pickle"),
        (b"c" + b"a" * 2000, "endless line"),
    ],
)
def test_a_pickle_that_is_merely_damaged_is_no_more_than_that(tmp_path, opcodes, said) -> None:
    path = as_pdparams(tmp_path, opcodes)
    with pytest.raises(weight_port.FormatError, match=said) as raised:
        weight_port.read(path)
    assert not isinstance(raised.value, weight_port.UnsafeFileError)
    assert str(raised.value).startswith(f"{path}: ")


def test_a_persistent_id_is_a_storage_or_nothing(tmp_path) -> None:
    with pytest.raises(weight_port.UnsafeFileError, match="holds a persistent id; refused"):
        weight_port.read(as_pdparams(tmp_path, text("os.system") + b"Q."))
    for container in (as_legacy, as_zip):
        with pytest.raises(weight_port.FormatError, match="damaged pickle"):
            weight_port.read(container(tmp_path, text("os.system") + b"Q."))
        with pytest.raises(weight_port.UnsafeFileError, match=r"os\.system"):
            weight_port.read(container(tmp_path, b"cos\nsystem\nQ."))


def test_attributes_of_a_dict_are_left_out(tmp_path) -> None:
    # torch puts `_metadata` there; what comes after must still be the dict itself.
    opcodes = b"}" + text("w") + ARRAY + b"s}" + text("items") + text("x") + b"sb."
    assert list(weight_port.read(as_pdparams(tmp_path, opcodes))) == ["w"]


# -- damage anywhere: our own error or a result, never another exception


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> dict[str, bytes]:
    """A small sound file of every kind, by suffix."""
    folder = tmp_path_factory.mktemp("sound")
    tensors = {"conv.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(7)}
    weights = {key: torch.from_numpy(array) for key, array in tensors.items()}
    torch.save(weights, folder / "zip.pth")
    torch.save(weights, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    (folder / "two.pdparams").write_bytes(pickle.dumps(tensors, protocol=2))
    (folder / "four.pdparams").write_bytes(pickle.dumps(tensors, protocol=4))
    for name in ("ours.pth", "ours.pdparams", "ours.safetensors"):
        weight_port.write(folder / name, tensors, metadata={"format": "pt"})
    weight_port.write(folder / "record", {"w": tensors["conv.weight"]})
    found = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    return {**found, "record": (folder / "record" / "w").read_bytes()}


KINDS = [
    "zip.pth", "legacy.pth", "two.pdparams", "four.pdparams", "ours.pth", "ours.pdparams",
    "ours.safetensors", "record",
]  # fmt: skip


def put(folder: Path, kind: str, content: bytes) -> Path:
    """The content as a file of this kind; the path to read."""
    (folder / kind).write_bytes(content)
    return folder if kind == "record" else folder / kind


def read_all(path: Path) -> None:
    """Read and touch every byte; only our own errors may come."""
    try:
        tensors = weight_port.read(path)
    except weight_port.WeightPortError as error:
        assert str(path) in str(error)  # noqa: PT017 (either outcome is right)
    else:
        assert all(isinstance(array.tobytes(), bytes) for array in tensors.values())


@pytest.mark.parametrize("kind", KINDS)
def test_every_truncation_is_our_own_error(tmp_path, sound, kind: str) -> None:
    content = sound[kind]
    assert weight_port.read(put(tmp_path, kind, content))
    cuts = sorted({*range(min(300, len(content))), *range(0, len(content), 7), len(content) - 1})
    for cut in cuts:
        path = put(tmp_path, kind, content[:cut])
        with pytest.raises(weight_port.WeightPortError) as raised:
            weight_port.read(path)
        assert str(tmp_path) in str(raised.value)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_flipped_bytes_are_our_own_error_or_other_numbers(
    tmp_path_factory, sound, kind: str, data
) -> None:
    content = bytearray(sound[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    read_all(put(tmp_path_factory.mktemp("flipped"), kind, bytes(content)))


HEADS = [b"", b"\x80\x02", b"\x80\x04", b"PK\x03\x04", b"\x20\0\0\0\0\0\0\0{", b"\0" * 16,
         pickle.dumps(pth._LEGACY_MAGIC, protocol=2)]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    head=st.sampled_from(HEADS),
    tail=st.one_of(
        st.binary(max_size=300),
        # Opcodes that the reader knows, in any order, so that random pickles come further.
        st.lists(
            st.sampled_from([bytes([code]) for code in b"(.0N\x88KG)t\x85]ae}sqhRbQ\x94"])
        ).map(b"".join),
    ),
    suffix=st.sampled_from([".pdparams", ".pth", ".pt", ".safetensors", ".bin", ""]),
)
@example(head=b"", tail=b"", suffix=".pdparams")
def test_random_bytes_are_our_own_error(tmp_path_factory, head: bytes, tail: bytes, suffix) -> None:
    path = tmp_path_factory.mktemp("random") / f"x{suffix}"
    path.write_bytes(head + tail)
    read_all(path)


# -- memory and time

HUGE = [
    ("x.pdparams", b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"."),
    ("x.pdparams", b"\x80\x04B" + struct.pack("<I", 2**32 - 1) + b"."),
    ("x.pdparams", b"\x80\x04\x8d" + struct.pack("<Q", 2**63) + b"."),
    ("x.pdparams", b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"X\xff\xff\xff\xff."),
    ("x.pdparams", b"\x80\x04r" + struct.pack("<I", 2**32 - 1) + b"."),
    ("x.safetensors", struct.pack("<Q", 99_000_000) + b"{}"),
    ("record", b"\0" * 16 + struct.pack("<i", 2**31 - 1) + b"\x08\x05"),
    ("record", b"\0" * 16 + struct.pack("<i", 8) + b"\x08\x05\x10" + b"\x80" * 4 + b"\x10"),
    ("record", b"\0" * 4 + struct.pack("<QQ", 2**62, 2**62)),
]


@pytest.mark.parametrize(("kind", "content"), HUGE)
def test_lengths_beyond_the_file_allocate_nothing(tmp_path, kind: str, content: bytes) -> None:
    path = put(tmp_path, kind, content)
    with pytest.raises(weight_port.FormatError):  # so that imports and caches are there
        weight_port.read(path)
    tracemalloc.start()
    try:
        with pytest.raises(weight_port.FormatError):
            weight_port.read(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def nested(depth: int) -> bytes:
    return b")" + b"\x85" * depth


DEEP = {
    "a dtype's code": b"cnumpy\ndtype\n" + nested(500_000) + b"\x85R.",
    "a key": b"}" + nested(500_000) + b"K\x01s.",
    "an expression": b"cbuiltins\neval\n" + nested(500_000) + b"}\x86R.",
    "an encoding": b"c_codecs\nencode\n" + text("a") + nested(500_000) + b"\x86R.",
    "the value": nested(500_000) + b".",
    "a table": b"}" + text("UnpackBigParamInfor@@") + b"}" + text("w") + b"}" + text("slices")
    + b"]" + nested(500_000) + b"asss.",
    "marks": b"(" * 500_000 + b".",
    "a stack": b"N" * 500_000 + b".",
    # Each of 65,000 sizes has 2,000 bits, and is there once; their product would never end.
    "an endless shape": b"cnumpy.core.multiarray\n_reconstruct\n)R(K\x01(\x8a\xfa" + b"\x7f" * 250
    + b"q\x01" + b"h\x01" * 65_000 + b"tcnumpy\ndtype\n" + text("f4") + b"\x85R\x89C\x00tb.",
    # Half a megabyte of text, encoded again and again, would make 50 GB.
    "bytes out of nothing": text("a" * 500_000) + b"q\x010" + text("latin1") + b"q\x020"
    + b"]" + (b"c_codecs\nencode\nh\x01h\x02\x86R" + b"a") * 100_000 + b".",
}  # fmt: skip


@pytest.mark.parametrize("name", DEEP)
def test_what_would_exhaust_the_interpreter_is_an_error(tmp_path, name: str) -> None:
    """In a process of its own: some of these would take it down."""
    path = as_pdparams(tmp_path, DEEP[name])
    limit = "import resource as r; r.setrlimit(r.RLIMIT_AS, (2 << 30, 2 << 30));"
    code = f"{limit} from weight_port.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", code, "inspect", str(path)]
    # One thread: each thread of a BLAS library reserves address space.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=120
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"weight-port: {path}: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 1000


# -- folders


def test_a_folder_of_links_or_folders_is_refused(tmp_path, sound) -> None:
    (tmp_path / "w").write_bytes(sound["record"])
    assert list(weight_port.read(tmp_path)) == ["w"]
    (tmp_path / "x").symlink_to("/etc/hostname")
    with pytest.raises(weight_port.FormatError, match=r"/x: a directory .* holds plain files only"):
        weight_port.read(tmp_path)
    (tmp_path / "x").unlink()
    (tmp_path / "y").mkdir()
    with pytest.raises(weight_port.FormatError, match=r"/y: a directory .* holds plain files only"):
        weight_port.read(tmp_path)


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "a/b", "..", ".", "", "a\0b"])
def test_a_variable_cannot_be_written_outside_the_folder(tmp_path, name: str) -> None:
    tensors = {"w": np.zeros(2, np.float32), name: np.zeros(2, np.float32)}
    with pytest.raises(weight_port.DestinationError, match="can't be the name of a variable file"):
        weight_port.write(tmp_path / "out", tensors)
    assert not list(tmp_path.iterdir())
    assert not (tmp_path.parent / "escaped").exists()


def test_what_is_neither_file_nor_folder_is_not_opened(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")  # to open it for reading would wait for a writer
    with pytest.raises(weight_port.FormatError, match="neither a file nor a folder"):
        weight_port.read(tmp_path / "pipe.pth")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "w")
    with pytest.raises(weight_port.FormatError, match="holds plain files only"):
        weight_port.read(tmp_path / "folder")
