"""Paddle's combined parameter file: ``.pdiparams``, 1.x's ``__params__``.

The records of ``paddle1.py`` one after another, in the order of the sorted variable names and
without the names themselves (``paddle/phi/kernels/save_combine_kernel.h``,
``python/paddle/static/io.py``). The names come from the program beside the file, or, where there
is none, from the one architecture whose variables have these shapes in this order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from weight_port.dialects import paddle_variables
from weight_port.errors import DAMAGE, DestinationError, FormatError
from weight_port.formats.contents import Contents
from weight_port.formats.paddle1 import read_record, write_record
from weight_port.formats.paddle_program import Program, read_program
from weight_port.formats.table import COMBINED_NAME, PDIPARAMS
from weight_port.pickles.reader import Reader
from weight_port.storage.bounds import memory_for
from weight_port.storage.sources import File

_VIEW = 400  # bytes of an array that is a view, whatever is in it; a record may have 22
# The program that belongs to a file of a given name, of Paddle 1.x and of PaddleOCR's 1.x.
_OLD_PROGRAMS = {COMBINED_NAME: ("__model__",), "params": ("model", "__model__")}


def read(file: File) -> Contents:
    """Every tensor of a combined file by its variable's name. Raises FormatError."""
    arrays = read_arrays(file)
    program_file = _program_file(file)
    if program_file is not None:
        weights = sum(array.nbytes for array in arrays)
        program = read_program(program_file.load(), program_file.where, weights)
        names = _names(file, arrays, program, program_file)
        notes = [f"names from {program_file.name}"]
        structured = _read_info(file, names)
        if structured:
            notes.append(f"structured names from {file.name}.info")
        tensors = dict(zip(names, arrays, strict=True))
        if not structured:
            structured = paddle_variables.keys_of({name: a.shape for name, a in tensors.items()})
        return Contents(tensors, tuple(notes), structured, program.linear)
    if len(arrays) == 1 and file.name != COMBINED_NAME:
        return Contents({file.name: arrays[0]}, ("one tensor, named after its file",))
    fit = paddle_variables.name_by_shapes([array.shape for array in arrays], file.where)
    tensors = dict(zip(fit.variables, arrays, strict=True))
    note = f"no program beside it; its shapes, in order, fit {fit.what} and nothing else we know"
    return Contents(tensors, (note,), dict(zip(fit.variables, fit.keys, strict=True)))


def read_arrays(file: File) -> list[np.ndarray]:
    """The tensors of a combined file in their order. Raises FormatError."""
    data = file.load()
    arrays: list[np.ndarray] = []
    position = 0
    while position < len(data):
        array, position = read_record(data, f"{file.where}: tensor {len(arrays)}", position)
        arrays.append(array)
        if _VIEW * len(arrays) > memory_for(len(data)):
            raise FormatError(f"{file.where}: more than {len(arrays)} tensors, all but empty")
    return arrays


def _program_file(file: File) -> File | None:
    stem = file.name.removesuffix(PDIPARAMS.suffixes[0])
    names = _OLD_PROGRAMS.get(file.name, (f"{stem}.pdmodel", f"{stem}.json"))
    return next((found for name in names if (found := file.beside(name))), None)


def _names(file: File, arrays: list[np.ndarray], program: Program, program_file: File) -> list[str]:
    """The sorted names, after their shapes were compared with the file's."""
    names = sorted(program.shapes)
    wrong = [
        f"{name:.200} is {list(array.shape)} in the file, {list(program.shapes[name])} in the "
        "program"
        for name, array in zip(names, arrays, strict=False)
        if array.shape != program.shapes[name]
    ]
    if len(names) != len(arrays) or wrong:
        first = f"; {wrong[0]}" if wrong else ""
        raise FormatError(
            f"{file.where}: not the weights of {program_file.name} beside it: {len(arrays)} "
            f"tensors for {len(names)} variables{first}. Put the program it was saved with there"
        )
    return names


def _read_info(file: File, names: list[str]) -> dict[str, str]:
    """The structured names that Paddle 2.x left beside the file, where they name every tensor."""
    info = file.beside(f"{file.name}.info")
    if info is None:
        return {}
    try:
        table = Reader(info.load(), {}, info.where).read()
        if not isinstance(table, dict):
            raise TypeError(f"a {type(table).__name__}")
        structured = {name: table[name]["structured_name"] for name in names if name in table}
    except DAMAGE as error:
        raise FormatError(f"{info.where}: damaged table of names: {error!r:.200}") from None
    if any(not isinstance(key, str) for key in structured.values()):
        raise FormatError(f"{info.where}: damaged table of names: one is no text")
    complete = len(structured) == len(names) == len(set(structured.values()))
    return structured if complete else {}


def write(
    stream: BinaryIO, tensors: Mapping[str, np.ndarray], names: Mapping[str, str] | None = None
) -> None:
    """Write tensors in the order of their variables' names: ``names[key]``, or the key itself.

    Raises DestinationError for a dtype without a code, or where two variables share a name.
    """
    variables = {(names or {}).get(key, key): array for key, array in tensors.items()}
    if len(variables) != len(tensors):
        raise DestinationError("two tensors have one variable's name; a combined file needs both")
    for name in sorted(variables):
        write_record(stream, variables[name], name)
