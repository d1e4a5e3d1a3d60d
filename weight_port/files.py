"""The file formats: one row each, told apart by name and proved by content."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from weight_port import conversion, pdparams, pth, pth_writer, records, safetensors_file
from weight_port.dialects import DIALECTS
from weight_port.disk import map_bytes, new_file, new_folder
from weight_port.errors import DestinationError, FormatError

Tensors = dict[str, np.ndarray]
Notes = Mapping[str, str] | None


@dataclass(frozen=True)
class Format:
    """How one kind of file is recognised, read and written."""

    name: str
    suffixes: tuple[str, ...]  # none: a directory
    read: Callable[[Path], Tensors]
    write: Callable[[Any, Tensors, Notes, Notes], None]  # to, tensors, metadata, parameter names


def _write_folder(folder: Path, tensors: Tensors, _metadata: Notes, _names: Notes) -> None:
    records.write_folder(folder, tensors)


def _write_pdparams(out: BinaryIO, tensors: Tensors, _metadata: Notes, names: Notes) -> None:
    pdparams.write(out, tensors, names)


def _write_safetensors(out: BinaryIO, tensors: Tensors, metadata: Notes, _names: Notes) -> None:
    safetensors_file.write(out, tensors, metadata)


def _write_pth(out: BinaryIO, tensors: Tensors, _metadata: Notes, _names: Notes) -> None:
    pth_writer.write(out, tensors)


FORMATS = {
    row.name: row
    for row in (
        Format("paddle1-folder", (), records.read_folder, _write_folder),
        Format("pdparams", (".pdparams",), pdparams.read, _write_pdparams),
        Format("safetensors", (".safetensors",), safetensors_file.read, _write_safetensors),
        Format("pth", (".pth", ".pt"), pth.read, _write_pth),
    )
}
_SUFFIXES = {suffix: row for row in FORMATS.values() for suffix in row.suffixes}


def _by_content(path: Path) -> str | None:
    """The format that the first bytes show, None where they show none of ours."""
    head = bytes(map_bytes(path)[:64])
    if head.startswith(b"PK\x03\x04"):
        return "pth"
    if len(head) > 8 and head[8:9] == b"{":
        return "safetensors"
    if head[:1] == b"\x80" and b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." in head:  # torch's magic number
        return "pth"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "pdparams"
    return None


def _is_folder(path: Path) -> bool:
    """Whether it is a folder and not a file; raises FormatError where it is neither."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise FormatError(f"{path}: no such file or folder") from None
    except OSError as error:
        raise FormatError(f"{path}: can't be read: {error.strerror}") from None
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise FormatError(f"{path}: neither a file nor a folder")
    return stat.S_ISDIR(mode)


def format_of(path: Path) -> Format:
    """The format of an existing file or folder, from its content.

    Raises FormatError where it is none of ours, or where the name promises another: a Paddle
    file named ``.pth`` is not read as torch's.
    """
    if _is_folder(path):
        return FORMATS["paddle1-folder"]
    content = _by_content(path)
    named = _SUFFIXES.get(path.suffix)
    if content is None:
        known = ", ".join(_SUFFIXES)
        raise FormatError(f"{path}: its first bytes are those of none of {known}; get it again")
    if named is not None and named.name != content:
        better = FORMATS[content].suffixes[0]
        raise FormatError(
            f"{path}: named {path.suffix} but its content is {content}; rename it to "
            f"{path.stem}{better} if that is what it is"
        )
    return FORMATS[content]


def read(path: str | Path) -> Tensors:
    """Every tensor of a file or 1.x folder under the name it has there.

    Arrays are read-only views of the memory-mapped file, with the file's shapes and dtypes
    (bfloat16 as ml_dtypes'). No framework is imported and nothing in the file is run. Raises
    FormatError (UnsafeFileError for a pickle that is more than data).
    """
    path = Path(path)
    return format_of(path).read(path)


def write(
    path: str | Path,
    tensors: Mapping[str, np.ndarray],
    *,
    force: bool = False,
    metadata: Notes = None,
    names: Notes = None,
) -> None:
    """Write tensors to a file whose format the suffix says, or to a 1.x folder if it has none.

    ``metadata`` goes into a .safetensors file, ``names`` (structured name to parameter name) into
    a .pdparams file. The destination appears whole or not at all. Raises DestinationError where
    it exists and ``force`` is not set, or can't hold the tensors.
    """
    path = Path(path)
    row = _format_to_write(path)
    if force and not row.suffixes:
        _check_replaceable(path)
    opened = new_file(path, force) if row.suffixes else new_folder(path, force)
    with opened as out:
        row.write(out, dict(tensors), metadata, names)


def _check_replaceable(path: Path) -> None:
    """Raises DestinationError for a folder of anything but variable files.

    Replacing a folder removes what is in it, and ``--force`` is not meant for a home folder.
    """
    if not os.path.isdir(path) or not records.list_folder(path):
        return
    try:
        records.read_folder(path)
    except FormatError as error:
        raise DestinationError(
            f"{path}: not replaced, since it holds other things than Paddle variable files: {error}"
        ) from None


def _format_to_write(path: Path) -> Format:
    if not path.suffix or os.path.isdir(path):  # which a name too long is not: no error here
        return FORMATS["paddle1-folder"]
    if path.suffix not in _SUFFIXES:
        raise DestinationError(
            f"{path}: no format has the suffix {path.suffix}: one of {', '.join(_SUFFIXES)}, or "
            "no suffix for a folder of Paddle 1.x variable files"
        )
    return _SUFFIXES[path.suffix]


@dataclass(frozen=True)
class Ported:
    """What ``convert_file`` did."""

    source: conversion.Detection
    tensors: int
    counters_made: int
    dropped: tuple[str, ...]


def convert_file(
    source: str | Path,
    destination: str | Path,
    to: str,
    *,
    dialect: str | None = None,
    include_top: bool = True,
    force: bool = False,
) -> Ported:
    """Read, detect, check, convert and write; nothing is written where a check fails.

    Raises WeightPortError: see ``read``, ``convert`` and ``write``.
    """
    destination = Path(destination)
    if not _format_to_write(destination).suffixes and to != "paddle1":
        raise DestinationError(
            f"{destination}: a folder holds Paddle 1.x variable files, so --to paddle1; for "
            f"{to} name a file with one of {', '.join(_SUFFIXES)}"
        )
    tensors = read(source)
    found = conversion.detect(tensors, dialect)
    converted = conversion.convert_detected(tensors, to, found, include_top)
    write(
        destination,
        converted,
        force=force,
        metadata={"format": _framework(to), "dialect": to, "architecture": found.architecture},
        names=conversion.parameter_names(to, converted, found),
    )
    return _ported(tensors, converted, found, to)


def _framework(dialect: str) -> str:
    return "pt" if DIALECTS[dialect].torch else "pd"


def _ported(tensors: Tensors, converted: Tensors, found: conversion.Detection, to: str) -> Ported:
    """Both sides told apart by the scheme's names, which they share."""
    before, after = found.keys(True), replace(found, dialect=to).keys(True)
    had = {before[key].name: key for key in tensors}
    has = {after[key].name for key in converted}
    dropped = tuple(key for name, key in had.items() if name not in has)
    return Ported(found, len(converted), len(has - had.keys()), dropped)
