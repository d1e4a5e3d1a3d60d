"""What a hostile file must not do to a reader, checked one input at a time.

Needs no fuzzer: ``run.py`` gives these functions to atheris, the tests of ``weight_port/formats``
the corpus and readers with planted faults.
"""

from __future__ import annotations

import contextlib
import time
import tracemalloc
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import weight_port
from weight_port import recognise
from weight_port.dialects import paddle_variables
from weight_port.errors import DialectError, FormatError, WeightPortError
from weight_port.formats import locate
from weight_port.formats.contents import Contents
from weight_port.formats.files import read_as
from weight_port.formats.table import FORMATS
from weight_port.storage import tars
from weight_port.storage.sources import File, Folder, view_file

CORPUS = Path(__file__).parent / "corpus"
SECONDS = 2.0  # of the processor
WAITING = 10 * SECONDS  # of the clock: another process may have had the processor, or it slept
RATIO = 10  # bytes of memory to a byte of the input
# What takes memory whatever the input's size: the architectures' tables that names and shapes are
# held against, the small objects of Python that stand for a byte or two each (an empty list has 56,
# and one opcode makes it), and the 4 MiB that any file may take (``contents.ALWAYS_ALLOWED``).
CONSTANT = 6 << 20
LONGEST_MESSAGE = 2_000  # characters of an error

# A reader loads its format's module, ml_dtypes and others when it first needs them. Here they are
# loaded before: their code is no memory of a file's, and atheris looks at what it sees imported.
for _module in Path(weight_port.__file__).parent.glob("formats/**/*.py"):
    _path = ".".join(
        _module.relative_to(Path(weight_port.__file__).parents[1]).with_suffix("").parts
    )
    import_module(_path.removesuffix(".__init__"))
for _name in ("ml_dtypes", "hashlib", "json", "tempfile", "weight_port.dialects.paddle_variables"):
    import_module(_name)
# The layers of every network are built when a file is none of the likely ones, and kept.
for _shape in ((0,), (0, 0)):  # without a classifier and with one
    with contextlib.suppress(WeightPortError):
        paddle_variables.name_by_shapes([_shape] * 320, "")

Read = Callable[[bytes], list[Contents]]


class Offence(Exception):
    """A reader did what no file may make it do."""


# -- bytes to readers, by the public way: a file in a folder, its format, that format's reader


def one_file(name: str, row: str) -> Read:
    """The reader of inputs that are one file each."""
    return lambda data: [_read(row, _folder({name: data}).files[name])]


def several_files(names: tuple[str, ...], row: str) -> Read:
    """The reader of inputs that are files beside one another, of which the last is read.

    Before each but the last stands its length, in four bytes; of length 0, it is not there.
    """

    def read(data: bytes) -> list[Contents]:
        parts = {}
        for name in names[:-1]:
            length = int.from_bytes(data[:4], "little")
            parts[name], data = data[4 : 4 + length], data[4 + length :]
        there = {name: part for name, part in parts.items() if part}
        return [_read(row, _folder({**there, names[-1]: data}).files[names[-1]])]

    return read


def program_and_weights(data: bytes) -> list[Contents]:
    """A combined file, the table of names and the program beside it."""
    program = "x.json" if data[4:5] == b"{" else "x.pdmodel"
    return several_files((program, "x.pdiparams.info", "x.pdiparams"), "pdiparams")(data)


def folder(data: bytes) -> list[Contents]:
    """A 1.x folder with one variable."""
    return [read_as(FORMATS["paddle1-folder"], _folder({"w": data}))]


def archive(data: bytes) -> list[Contents]:
    """Whatever the folders of a tar archive hold, its checksums put right.

    No mutation hits upon a checksum, so none would get further than the first header.
    """
    found = []
    for inside in tars.folders_of(memoryview(_summed(data)), "x.tar").values():
        with contextlib.suppress(WeightPortError):
            row, source = locate.inside(inside)
            found.append(read_as(row, source))
    return found


def _summed(data: bytes) -> bytes:
    blocks = [bytearray(data[at : at + 512]) for at in range(0, len(data), 512)]
    for block in blocks:
        if tars.is_tar(memoryview(block)):
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)
    return b"".join(blocks)


def _folder(parts: dict[str, bytes]) -> Folder:
    files: dict[str, File] = {}
    for name, data in parts.items():
        files[name] = view_file(f"x/{name}", name, memoryview(data), files)
    return Folder("x", files)


def _read(row: str, file: File) -> Contents:
    with contextlib.suppress(FormatError):  # the reader must bear what detection would refuse
        locate.file_format(file)
    return read_as(FORMATS[row], file)


TARGETS: dict[str, Read] = {
    "pdparams": one_file("x.pdparams", "pdparams"),
    "pth": one_file("x.pth", "pth"),
    "npz": one_file("x.npz", "npz"),
    "safetensors": one_file("x.safetensors", "safetensors"),
    "sharded": several_files(
        ("a.safetensors", "b.safetensors", "x.safetensors.index.json"), "safetensors-sharded"
    ),
    "sharded-torch": several_files(("a.bin", "b.bin", "x.bin.index.json"), "pth-sharded"),
    "onnx": several_files(("w.data", "x.onnx"), "onnx"),
    "hdf5": one_file("x.h5", "hdf5"),
    "keras": one_file("x.keras", "keras"),
    "caffemodel": one_file("x.caffemodel", "caffemodel"),
    "flax": one_file("x.msgpack", "flax"),
    "npy": one_file("x.npy", "npy"),
    "pickle": one_file("x.pkl", "pickle"),
    "pt2": one_file("x.pt2", "pt2"),
    "combined": program_and_weights,
    "folder": folder,
    "tar": archive,
}


# -- what is checked


def check(read: Read, data: bytes) -> None:
    """Read, look at every number and detect; raises whatever is not a ``WeightPortError``.

    Raises Offence for what took too long or too much memory, and for an error that does not name
    its file. ``tracemalloc`` counts what Python and NumPy allocate, which the process's own size
    would show only in pages that were never used before; it makes them several times slower, so
    what is slow with it is timed again without.
    """
    allowed = RATIO * len(data) + CONSTANT
    tracemalloc.start()
    try:
        seconds, total = _timed(read, data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    if seconds > 1:
        seconds, _ = _timed(read, data)
    if seconds > 1:
        raise Offence(f"{seconds * SECONDS:.1f} s for {len(data)} bytes")
    if peak > allowed:
        raise Offence(f"{peak} bytes of memory for {len(data)}; {allowed} are allowed")
    if total > allowed:
        raise Offence(f"tensors of {total} bytes out of {len(data)}; {allowed} are allowed")


def _timed(read: Read, data: bytes) -> tuple[float, int]:
    """(share of the time allowed, bytes of tensors) of one reading."""
    processor, clock, total = time.process_time(), time.perf_counter(), 0
    try:
        total = sum(map(_use, read(data)))
    except WeightPortError as error:
        if not str(error).startswith("x") or len(str(error)) > LONGEST_MESSAGE:
            raise Offence(f"an error without its file, or too long: {error!s:.300}") from error
    processor, clock = time.process_time() - processor, time.perf_counter() - clock
    return max(processor / SECONDS, clock / WAITING), total


def _use(contents: Contents) -> int:
    """The bytes of all tensors, every one of which was looked at."""
    sizes = [len(array.tobytes()) for array in contents.tensors.values()]
    with contextlib.suppress(DialectError):
        recognise(contents)
    return sum(sizes)
