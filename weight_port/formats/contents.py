"""What a reader found in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from weight_port.errors import FormatError
from weight_port.storage.bounds import memory_for

Tensors = dict[str, np.ndarray]


def check_total(tensors: Tensors, size: int, where: str) -> None:
    """Raises FormatError where views of a file of ``size`` bytes are far more than it when written.

    One storage can stand under any number of names, and strides of 0 make much of little.
    """
    total = sum(array.nbytes for array in tensors.values())
    if total > memory_for(size):
        raise FormatError(
            f"{where}: tensors of {total} bytes in a file of {size}: the same bytes many times "
            "over, not weights; if you trust it, save copies of the tensors with its framework"
        )


_VIEW = 500  # bytes of an array that is a view, whatever is in it, and of its name


def check_count(count: int, size: int, where: str) -> None:
    """Raises FormatError where ``count`` arrays out of ``size`` bytes are all but empty."""
    if _VIEW * count > memory_for(size):
        raise FormatError(
            f"{where}: more than {count} tensors in {size} bytes, all but empty: not weights"
        )


@dataclass(frozen=True)
class Contents:
    """The tensors of a file under the names it has for them, and what the user should know."""

    tensors: Tensors
    notes: tuple[str, ...] = ()  # what was done that the file's bytes don't show
    structured: Mapping[str, str] = field(default_factory=dict)  # variable -> the layer's key
    # Variables that the program beside the file uses as linear weights [in, out] and as nothing
    # else; None where there is no program.
    linear: frozenset[str] | None = None
    architecture: str = ""  # as the file's metadata has it: any text
