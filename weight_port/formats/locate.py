"""What a path stands for: a file, a folder, a tar archive, or something in one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from weight_port.errors import FormatError, shown
from weight_port.formats import damage, table
from weight_port.formats.table import SUFFIXES, Format
from weight_port.storage.copies import copied
from weight_port.storage.maps import map_bytes
from weight_port.storage.sources import File, Folder, disk_file, disk_folder
from weight_port.storage.tars import folders_of, is_tar


def _is_folder(path: Path) -> bool:
    """Whether it is a folder and not a file; raises FormatError where it is neither."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise FormatError(f"{path}: no such file or folder") from None
    except (OSError, ValueError) as error:  # ValueError: a name that no system has
        raise FormatError(f"{path}: can't be read: {getattr(error, 'strerror', error)}") from None
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise FormatError(f"{path}: neither a file nor a folder")
    return stat.S_ISDIR(mode)


def file_format(file: File) -> Format:
    """The format of a file, from its content; raises FormatError where the name promises another.

    Of the kinds of pickles each may have another's name: people save Paddle's as ``.pth``, torch's
    as ``.pkl``.
    """
    head = bytes(copied(file.load()[: table.HEAD]))
    content, named = table.by_content(head, file.name), table.by_name(file.name)
    if content is None:
        unknown = f"its first bytes are those of none of {', '.join(SUFFIXES)}; get it again"
        damaged = "" if damage.is_text(head) else damage.of(file.load())
        reason = explain(head, file.name) or damaged or unknown
        raise FormatError(f"{file.where}: {reason}")
    pickles = {table.PDPARAMS, table.PTH, table.PICKLE}
    if named is not None and named is not content and not {named, content} <= pickles:
        if what := damage.of(file.load()):
            raise FormatError(f"{file.where}: {what}")
        suffix = Path(file.name).suffix
        raise FormatError(
            f"{file.where}: named {suffix} but its content is {content.name}; rename it to "
            f"{Path(file.name).stem}{content.suffixes[0]} if that is what it is"
        )
    return content


def inside(folder: Folder) -> tuple[Format, File | Folder]:
    """What a folder holds: one checkpoint, or the variable files of Paddle 1.x.

    Hugging Face's may hold one network in several files: the one that transformers takes. A folder
    with torch's ``data.pkl`` is an archive that was unpacked.
    """
    if "data.pkl" in folder.files and Path(folder.where).is_dir():
        return table.PTH, folder
    if (weights := _of_hugging_face(folder)) is not None:
        return file_format(weights), weights
    indexes = [file for name, file in folder.files.items() if name.endswith(table.INDEXES)]
    checkpoints = indexes or _checkpoints(folder)
    if len(checkpoints) > 1:
        names = ", ".join(file.name for file in checkpoints)
        raise FormatError(
            f"{folder.where}: holds {len(checkpoints)} checkpoints ({names}); name one"
        )
    if checkpoints:
        return file_format(checkpoints[0]), checkpoints[0]
    variables = {name: file for name, file in folder.files.items() if name != "__model__"}
    return table.PADDLE1_FOLDER, Folder(folder.where, variables, folder.others)


def _of_hugging_face(folder: Folder) -> File | None:
    """The weights beside a ``config.json``, None where it is no such folder."""
    if "config.json" not in folder.files:
        return None
    return next((folder.files[n] for n in table.HUGGING_FACE if n in folder.files), None)


def _checkpoints(folder: Folder) -> list[File]:
    """The files with a checkpoint's name, but the optimizer's states beside the weights."""
    names = [
        name
        for name in folder.files
        if name == table.COMBINED_NAME
        or (name == "params" and "model" in folder.files)
        or (name.endswith(tuple(SUFFIXES)) and not name.endswith(".pdopt"))
        or name == "pytorch_model.bin"
    ]
    return [folder.files[name] for name in names]


def _in_archive(path: Path, inner: str) -> tuple[Format, File | Folder]:
    """What a tar archive holds, or what is called ``inner`` in it."""
    folders = folders_of(map_bytes(path), str(path))
    if inner:
        for name, folder in folders.items():
            if name == inner:
                return inside(folder)
            if name == str(Path(inner).parent) and (file := folder.files.get(Path(inner).name)):
                return file_format(file), file
        raise FormatError(f"{path}: holds nothing called {inner}")
    files = [file for folder in folders.values() for file in _checkpoints(folder)]
    if len(files) == 1:
        return file_format(files[0]), files[0]
    if not files and len(folders) == 1:
        return inside(next(iter(folders.values())))
    names = ", ".join(file.where for file in files) or ", ".join(f.where for f in folders.values())
    raise FormatError(
        f"{path}: an archive of {len(files) or len(folders)} checkpoints or folders; name one: "
        f"{names or 'it is empty'}"
    )


def _archive_above(path: Path) -> Path | None:
    """The tar archive that a path leads into, None where it leads into none."""
    for parent in path.parents:
        if os.path.isfile(parent):  # no error for a name too long
            return parent if is_tar(disk_file(parent).load()) else None
    return None


def locate(path: Path) -> tuple[Format, File | Folder]:
    """The format and the bytes behind a path. Raises FormatError where they are none of ours."""
    if not os.path.lexists(path) and (archive := _archive_above(path)):
        return _in_archive(archive, path.relative_to(archive).as_posix())
    if _is_folder(path):
        return inside(disk_folder(path))
    file = disk_file(path)
    if is_tar(file.load()):
        return _in_archive(path, "")
    return file_format(file), file


# First bytes, letters in lower case, and what they mean.
_PAGE = "a web page (an error or a login) saved as a checkpoint; download it again"

_HEADS = (
    (b"version https://git-lfs", "a git-LFS pointer in place of the file; run `git lfs pull`"),
    (b"<!doctype html", _PAGE),
    (b"<html", _PAGE),
    (b"<?xml", "an XML page (a server's error) saved as a checkpoint; download it again"),
    (b"\x1f\x8b", "compressed by gzip; unpack it first (`gunzip`, or `tar -xzf` for an archive)"),
    (b"bzh", "compressed by bzip2; unpack it first"),
    (b"\xfd7zxz", "compressed by xz; unpack it first"),
    (b"(\xb5/\xfd", "compressed by zstd; unpack it first"),
    (b"\x04\x22m\x18", "compressed by lz4; unpack it first"),
    (b"7z\xbc\xaf'\x1c", "a 7z archive; unpack it first"),
    (b"rar!", "a RAR archive; unpack it first"),
    (
        b"\x89hdf\r\r\n",
        "HDF5 transferred as text: a CR before each LF; get it again, in binary mode",
    ),
    (b"\x89hdf\n", "HDF5 transferred as text: without its CRs; get it again, in binary mode"),
)

_NAMES = (
    (".pdmodel", "a program, without weights; name the .pdiparams beside it"),
    ("__model__", "a program, without weights; name the folder or the __params__ beside it"),
    (".json", "a program or a configuration, without weights; name the .pdiparams beside it"),
    (".pdiparams.info", "a table of names, without weights; name the .pdiparams beside it"),
)


def explain(head: bytes, name: str) -> str:
    """What a file is whose first bytes are those of no format, in a line; "" where none knows."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for magic, meaning in _HEADS:
        if start.startswith(magic):
            return meaning
    for ending, meaning in _NAMES:
        if name.endswith(ending):
            return meaning
    if start.startswith((b"{", b"[")):
        text = shown(str(head, "utf-8", "replace"))
        return f"JSON, {text}: a server's error saved as a checkpoint? Download it again"
    if head.startswith(table.BOM) and table.by_content(head.removeprefix(table.BOM), name):
        return "a byte-order mark before its first byte: it was saved as text; get it again"
    return ""
