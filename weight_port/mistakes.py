"""What a file that is no checkpoint most likely is, and the way out."""

from __future__ import annotations

from collections.abc import Iterable

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
    (b"rar!", "a RAR archive; unpack it first"),
    (b"\x89hdf", "HDF5, as Keras saves it; save the weights as .npz or .safetensors"),
)
_NAMES = (
    (".pdmodel", "a program, without weights; name the .pdiparams beside it"),
    ("__model__", "a program, without weights; name the folder or the __params__ beside it"),
    (".json", "a program or a configuration, without weights; name the .pdiparams beside it"),
    (".pdiparams.info", "a table of names, without weights; name the .pdiparams beside it"),
)


def explain(head: bytes, name: str, suffixes: Iterable[str]) -> str:
    """One line on a file whose first bytes are those of no format."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for magic, meaning in _HEADS:
        if start.startswith(magic):
            return meaning
    for ending, meaning in _NAMES:
        if name.endswith(ending):
            return meaning
    return f"its first bytes are those of none of {', '.join(suffixes)}; get it again"
