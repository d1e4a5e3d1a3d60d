"""The inputs of a pair: drawn by dtype and shape, or read from arrays and images."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from parity import images
from parity.run.inputs import UsageError

Arrays = dict[str, np.ndarray]
SIZE = 224  # pixels of an image's side where none is named
_DTYPES = ("float32", "float64", "int64", "int32", "bool")
_DRAWN = re.compile(r"(\w+)\[([\d,\s]*)\](?:<(\d+))?")
_PHOTOGRAPHS = re.compile(r"(.+?)(?:\[(\d+)\])?")
_FORMS = (
    "float32[2,3,224,224] (drawn), int64[2,16]<1000 (drawn, below 1000), a .npy or .npz file, or "
    "images: photo.png or a folder, photos[224] for another size than 224"
)


def arrays(given: Mapping[str, str], folder: Path, seed: int) -> Arrays:
    """The arrays of inputs ``name: form`` in order; files are looked for in ``folder``.

    An .npz gives as many inputs as it has arrays, under their own names. Raises UsageError.
    """
    found: Arrays = {}
    for number, (name, form) in enumerate(given.items()):
        random = np.random.default_rng([seed, number])
        for inner, array in _input(name, form.strip(), folder, random):
            if inner in found:
                raise UsageError(f"input {inner}: given twice; name every input once")
            found[inner] = array
    if not found:
        raise UsageError(f"no inputs: give --input NAME=FORM, of {_FORMS}")
    return found


def _input(
    name: str, form: str, folder: Path, random: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    match = _DRAWN.fullmatch(form)
    if match and not (folder / match[1]).is_dir():  # photos[224] is a folder's
        yield name, _drawn(name, match, random)
        return
    path = folder / form
    if path.suffix in (".npy", ".npz"):
        yield from _read(name, path)
        return
    photographs = _PHOTOGRAPHS.fullmatch(form)
    if photographs is None or not (folder / photographs[1]).exists():
        raise UsageError(f"input {name}: {form!r} is none of {_FORMS}")
    size = int(photographs[2] or SIZE)
    yield name, images.batch([folder / photographs[1]], size)


def _drawn(name: str, match: re.Match[str], random: np.random.Generator) -> np.ndarray:
    """An array of a dtype and shape: normal, uniform below a bound, or true and false."""
    dtype, sides, bound = match[1], match[2], match[3]
    if dtype not in _DTYPES:
        raise UsageError(f"input {name}: {dtype} is none of {', '.join(_DTYPES)}")
    shape = tuple(int(side) for side in sides.split(",") if side.strip())
    if 0 in shape:
        raise UsageError(f"input {name}: an empty shape, {list(shape)}; give it some elements")
    if dtype == "bool":
        return random.random(shape) < 0.5
    if dtype.startswith("int"):
        if not bound:
            raise UsageError(f"input {name}: drawn integers need a bound: {match[0]}<1000")
        return random.integers(int(bound), size=shape, dtype=dtype)
    return random.standard_normal(shape).astype(dtype)


def _read(name: str, path: Path) -> Iterator[tuple[str, np.ndarray]]:
    try:
        with open(path, "rb") as stream:  # NumPy leaves one that it opens itself open on errors
            content = np.load(stream, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return iter([(name, content)])
            return iter([(key, content[key]) for key in content.files])
    except (OSError, ValueError, BadZipFile, EOFError) as error:
        raise UsageError(f"input {name}: {path}: can't be read: {error}") from None
