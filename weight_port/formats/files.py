"""Files read and written: to each format of the table its reader and its writer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from weight_port.errors import DestinationError, FormatError, shown
from weight_port.formats import paddle1 as records
from weight_port.formats import pdiparams as combined
from weight_port.formats import safetensors as safetensors_file
from weight_port.formats import table
from weight_port.formats.contents import Contents, Tensors
from weight_port.formats.locate import locate
from weight_port.formats.table import SUFFIXES, WRITABLE, Format
from weight_port.storage.digest import Digest
from weight_port.storage.disk import new_file, new_folder
from weight_port.storage.sources import File, Folder, disk_folder

_LONGEST_NAME = 60_000  # bytes; a zip's names have two for their length
Notes = Mapping[str, str] | None
Metadata = Mapping[str, str | Digest] | None


# A format's module is imported when a file of it is met: none needs them all, and together they
# take a quarter of the time that `weight-port inspect` runs.


def _read_folder(folder: Folder) -> Contents:

    return records.read_folder(folder)


def _read_pdparams(file: File) -> Contents:
    from weight_port.formats import pdparams

    return pdparams.read(file)


def _read_combined(file: File) -> Contents:

    return combined.read(file)


def _read_safetensors(file: File) -> Contents:

    return safetensors_file.read(file)


def _read_sharded(file: File) -> Contents:
    from weight_port.formats import sharded

    return sharded.read(file)


def _read_pth(file: File) -> Contents:
    from weight_port.formats import pth

    return pth.read(file)


def _read_npz(file: File) -> Contents:
    from weight_port.formats import npz

    return npz.read(file)


def _write_folder(folder: Path, tensors: Tensors, _metadata: Metadata, _names: Notes) -> None:
    from weight_port.formats import paddle1 as records

    records.write_folder(folder, tensors)


def _write_pdparams(out: BinaryIO, tensors: Tensors, _metadata: Metadata, names: Notes) -> None:
    from weight_port.formats import pdparams

    pdparams.write(out, tensors, names)


def _write_combined(out: BinaryIO, tensors: Tensors, _metadata: Metadata, names: Notes) -> None:
    from weight_port.formats import pdiparams as combined

    combined.write(out, tensors, names)


def _write_safetensors(out: BinaryIO, tensors: Tensors, metadata: Metadata, _names: Notes) -> None:
    from weight_port.formats import safetensors as safetensors_file

    safetensors_file.write(out, tensors, metadata)


def _write_pth(out: BinaryIO, tensors: Tensors, _metadata: Metadata, _names: Notes) -> None:
    from weight_port.formats import pth_writer

    pth_writer.write(out, tensors)


def _write_npz(out: BinaryIO, tensors: Tensors, _metadata: Metadata, _names: Notes) -> None:
    from weight_port.formats import npz

    npz.write(out, tensors)


READERS: dict[Format, Callable[[Any], Contents]] = {  # of a File, or of a Folder
    table.PADDLE1_FOLDER: _read_folder,
    table.PDPARAMS: _read_pdparams,
    table.PDIPARAMS: _read_combined,
    table.SAFETENSORS: _read_safetensors,
    table.SHARDED: _read_sharded,
    table.PTH: _read_pth,
    table.NPZ: _read_npz,
}
# To what, tensors, metadata, and the parameters' names by key.
WRITERS: dict[Format, Callable[[Any, Tensors, Metadata, Notes], None]] = {
    table.PADDLE1_FOLDER: _write_folder,
    table.PDPARAMS: _write_pdparams,
    table.PDIPARAMS: _write_combined,
    table.SAFETENSORS: _write_safetensors,
    table.PTH: _write_pth,
    table.NPZ: _write_npz,
}


@dataclass(frozen=True)
class Checkpoint:
    """A file or folder that was read: where it is, its format and what it holds."""

    where: str
    format: Format
    contents: Contents


def open_checkpoint(path: str | Path) -> Checkpoint:
    """Read a file, a folder, a tar archive or ``archive.tar/what/is/in/it``, with notes.

    Raises FormatError (UnsafeFileError for a pickle that is more than data).
    """
    row, source = locate(Path(path))
    return Checkpoint(source.where, row, READERS[row](source))


def format_of(path: Path) -> Format:
    """The format of an existing file or folder, from its content.

    Raises FormatError where it is none of ours, or where the name promises another.
    """
    return locate(path)[0]


def read(path: str | Path) -> Tensors:
    """Every tensor of a file, folder or tar archive under the name it has there.

    Arrays are read-only views of the memory-mapped file, with the file's shapes and dtypes
    (bfloat16 as ml_dtypes'). No framework is imported and nothing in the file is run. Raises
    FormatError (UnsafeFileError for a pickle that is more than data).
    """
    return open_checkpoint(path).contents.tensors


def write(
    path: str | Path,
    tensors: Mapping[str, np.ndarray],
    *,
    force: bool = False,
    metadata: Metadata = None,
    names: Notes = None,
) -> None:
    """Write tensors to a file whose format the suffix says, or to a 1.x folder if it has none.

    ``metadata`` goes into a .safetensors file, ``names`` (structured name to parameter name) into
    a .pdparams file. The destination appears whole or not at all. Raises DestinationError where
    it exists and ``force`` is not set, or can't hold the tensors.
    """
    path = Path(path)
    row = format_to_write(path)
    if force and not row.suffixes:
        _check_replaceable(path)
    opened = new_file(path, force) if row.suffixes else new_folder(path, force)
    with opened as out:
        _check_names(tensors)
        WRITERS[row](out, dict(tensors), metadata, names)


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
        _read_folder(folder)
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
