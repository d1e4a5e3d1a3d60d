"""Files read and written: to each format of the table its reader and its writer."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np

from weight_port.errors import DestinationError, FormatError, shown
from weight_port.formats import damage, states, table
from weight_port.formats.contents import Contents, Tensors
from weight_port.formats.locate import locate
from weight_port.formats.table import SUFFIXES, WRITABLE, Format
from weight_port.pickles.attacks import ASKS_FOR
from weight_port.storage.disk import new_file
from weight_port.storage.folders import new_folder
from weight_port.storage.sources import File, Folder, disk_folder

if TYPE_CHECKING:
    from weight_port.storage.digest import Digest

_LONGEST_NAME = 60_000  # bytes; a zip's names have two for their length
Names = Mapping[str, str] | None
Metadata: TypeAlias = "Mapping[str, str | Digest] | None"


# The modules that read formats and write them.
# A module is imported when a file of its format is met: none needs them all, and together they
# take a quarter of the time that `weight-port inspect` runs.
_MODULES = {
    table.PADDLE1_FOLDER: "paddle1",
    table.PDPARAMS: "pdparams",
    table.PDIPARAMS: "pdiparams",
    table.SAFETENSORS: "safetensors",
    table.SHARDED: "sharded",
    table.SHARDED_TORCH: "sharded",
    table.PTH: "pth",
    table.NPZ: "npz",
    table.ONNX: "other_frameworks.onnx",
    table.HDF5: "other_frameworks.keras",
    table.KERAS: "other_frameworks.keras",
    table.CAFFEMODEL: "other_frameworks.caffe",
    table.FLAX: "other_frameworks.flax",
    table.NPY: "other_frameworks.numpy_pickle",
    table.PICKLE: "other_frameworks.numpy_pickle",
    table.PT2: "other_frameworks.torch_export",
}


# A file of these may hold several dicts of tensors, each under a key.
_WITH_STATES = (table.PDPARAMS, table.PTH, table.NPY, table.PICKLE)


def _module(name: str) -> Any:
    return import_module(f"weight_port.formats.{name}")


def read_as(row: Format, source: File | Folder, key: str | None = None) -> Contents:
    """What a file, or a folder, of a format holds, under a key if given. Raises FormatError."""
    if key is not None and row not in _WITH_STATES:
        names = ", ".join(one.name for one in _WITH_STATES)
        raise FormatError(
            f"{source.where}: a file of {row.name} has names alone, which --prefix (prefix=…) "
            f"chooses among; only {names} have keys"
        )
    arguments = () if key is None else (key,)
    try:
        contents: Contents = _module(_MODULES[row]).read(source, *arguments)
    except states.NoSuchKey:
        raise
    except FormatError as error:
        if ASKS_FOR in str(error):  # a known attack stays one, whatever else is wrong
            raise
        raise _explained(error, source) from None
    return contents


def _explained(error: FormatError, source: File | Folder) -> FormatError:
    """The error, and what everyday damage has done to the file that it is about."""
    where = str(error).partition(": ")[0]
    if isinstance(source, Folder):
        files = [file for file in source.files.values() if file.where == where]
    else:  # or a file beside it: a shard, a program
        beside = None if where == source.where else source.beside(Path(where).name)
        files = [source if beside is None else beside]
    for file in files:
        with contextlib.suppress(FormatError):  # of a file that is empty, or gone
            if what := damage.of(file.load()):
                return FormatError(f"{error}; {what}")
    return error


def _write(
    row: Format, out: Path | BinaryIO, tensors: Tensors, metadata: Metadata, names: Names
) -> None:
    """Write in a format, some of which have a place for more than tensors."""
    extras: dict[Format, Any] = {
        table.SAFETENSORS: metadata,
        table.PDPARAMS: names,
        table.PDIPARAMS: names,
    }
    module = _module("pth_writer" if row is table.PTH else _MODULES[row])
    module.write(out, tensors, *([extras[row]] if row in extras else []))


@dataclass(frozen=True)
class Checkpoint:
    """A file or folder that was read: where it is, its format and what it holds."""

    where: str
    format: Format
    contents: Contents


def open_checkpoint(path: str | Path, key: str | None = None) -> Checkpoint:
    """Read a file, a folder, a tar archive or ``archive.tar/what/is/in/it``, with notes.

    ``key`` is that of the dict of tensors, where a file has several. Raises FormatError
    (UnsafeFileError for a pickle that is more than data).
    """
    row, source = locate(Path(path))
    return Checkpoint(source.where, row, read_as(row, source, key))


def read(path: str | Path, *, key: str | None = None, prefix: str = "") -> Tensors:
    """Every tensor of a file, folder or tar archive under the name it has there.

    ``key`` is that of the dict of tensors, where a file has several (``ema``, ``ema/module``);
    without it the usual one is taken. With a ``prefix``, only the tensors whose names begin so are
    read, and their names without it.
    Arrays are read-only views of the memory-mapped file, with the file's shapes and dtypes
    (bfloat16 as ml_dtypes'). No framework is imported and nothing in the file is run. Raises
    FormatError (UnsafeFileError for a pickle that is more than data).
    """
    tensors = open_checkpoint(path, key).contents.tensors
    behind = {n.removeprefix(prefix): a for n, a in tensors.items() if n.startswith(prefix)}
    if prefix and not behind:
        raise FormatError(f"{path}: no name begins with prefix {shown(prefix)}")
    return behind


def write(
    path: str | Path,
    tensors: Mapping[str, np.ndarray],
    *,
    force: bool = False,
    metadata: Metadata = None,
    names: Names = None,
) -> None:
    """Write tensors to a file whose format the suffix says, or to a 1.x folder if it has none.

    ``metadata`` goes into a .safetensors file, ``names`` (structured name to parameter name) into
    a .pdparams file. The destination appears whole or not at all. Raises DestinationError where
    it exists and ``force`` is not set, or can't hold the tensors.
    """
    write_all([Output(Path(path), tensors, metadata, names)], force=force)


@dataclass(frozen=True)
class Output:
    """A file to write: where, its tensors, and what its format may have a place for."""

    path: Path
    tensors: Mapping[str, np.ndarray]
    metadata: Metadata = None
    names: Names = None


def write_all(outputs: Sequence[Output], *, force: bool = False) -> None:
    """As ``write``, of several files, none of which appears before all are written."""
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(_opened(output.path, force)) for output in outputs]
        for place, output in zip(places, outputs, strict=True):
            _check_names(output.tensors)
            row = format_to_write(output.path)
            _write(row, place, dict(output.tensors), output.metadata, output.names)


@contextlib.contextmanager
def _opened(path: Path, force: bool) -> Iterator[Path | BinaryIO]:
    """A new file or folder, as the format has it, that gets its name when the block ends well."""
    if format_to_write(path).suffixes:
        with new_file(path, force) as stream:
            yield stream
        return
    if force:
        _check_replaceable(path)
    with new_folder(path, force) as folder:
        yield folder


def _check_names(tensors: Iterable[str]) -> None:
    """Raises DestinationError for a name that no format can hold: half a character, or a book."""
    for name in tensors:
        try:
            length = len(name.encode("utf-8"))
        except UnicodeEncodeError:
            raise DestinationError(f"{shown(name)}: a name that is no Unicode text") from None
        if length > _LONGEST_NAME:
            raise DestinationError(f"{shown(name)}: a name of {length} bytes")


def _check_replaceable(path: Path) -> None:
    """Raises DestinationError for a folder of anything but variable files.

    Replacing a folder removes what is in it, and ``--force`` is not meant for a home folder.
    """
    if not os.path.isdir(path):
        return
    folder = disk_folder(path)
    if not folder.files and not folder.others:
        return
    try:
        read_as(table.PADDLE1_FOLDER, folder)
    except FormatError as error:
        raise DestinationError(
            f"{path}: not replaced, since it holds other things than Paddle variable files: {error}"
        ) from None


def format_to_write(path: Path) -> Format:
    """The format that the suffix of a destination says; raises DestinationError for no format."""
    if path.name == table.COMBINED_NAME:
        return table.PDIPARAMS
    if not path.suffix or os.path.isdir(path):  # no error for a name too long
        return table.PADDLE1_FOLDER
    if path.suffix not in WRITABLE:
        raise DestinationError(
            f"{path}: no format has the suffix {path.suffix}: one of {', '.join(WRITABLE)}, or "
            "no suffix for a folder of Paddle 1.x variable files"
        )
    return SUFFIXES[path.suffix]
