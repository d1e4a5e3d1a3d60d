"""Numbers that no trained network has: NaN, infinity, a variance below 0."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from weight_port.conversion.check import is_float
from weight_port.dialects.keys import Key
from weight_port.errors import MismatchError, shown
from weight_port.storage.buffers import own

_PIECE = 1 << 18  # elements
# The bits of the exponent of 16-bit floats, all set where a number is not finite: NumPy asks for
# those one by one, and of bfloat16 by a function that ml_dtypes brings.
_EXPONENTS = {"float16": 0x7C00, "bfloat16": 0x7F80}


@dataclass(frozen=True)
class Faults:
    """How many there are, and the names of the tensors that have them."""

    nans: int = 0
    infinities: int = 0
    not_finite: tuple[str, ...] = ()
    negative: int = 0  # variances
    negative_in: tuple[str, ...] = ()

    def sentences(self) -> tuple[str, ...]:
        """A sentence on each kind, none where all is sound."""
        said = []
        if self.not_finite:
            said.append(
                f"{self.nans} of its numbers are NaN and {self.infinities} infinite, in "
                f"{_some(self.not_finite)}"
            )
        if self.negative_in:
            said.append(f"{self.negative} variances are below 0, in {_some(self.negative_in)}")
        return tuple(said)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    what = "1 tensor" if len(names) == 1 else f"{len(names)} tensors"
    return f"{what}: {', '.join(map(shown, names[:3]))}{more}"


def pieces(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Arrays of one shape as flat pieces, in C order, side by side: no copy of a large one."""
    flat = [array.reshape(-1) if array.flags.c_contiguous else None for array in arrays]
    for start in range(0, arrays[0].size, _PIECE):
        stop = min(start + _PIECE, arrays[0].size)
        yield tuple(
            own(part[start:stop]) if part is not None else array.flat[start:stop]
            for part, array in zip(flat, arrays, strict=True)
        )


def _in_memory(array: np.ndarray) -> np.ndarray:
    """The same numbers in the order in which they stand, where there is no gap between them."""
    return array.T if array.flags.f_contiguous else array


def _finite(piece: np.ndarray) -> bool:
    exponent = _EXPONENTS.get(piece.dtype.name)
    if exponent is None:
        return bool(np.isfinite(piece).all())
    return not ((piece.view(np.uint16) & exponent) == exponent).any()


def is_finite(array: np.ndarray) -> bool:
    """Whether all of an array's numbers are; whole numbers always are."""
    if not is_float(array.dtype) and array.dtype.kind != "c":
        return True
    return all(_finite(piece) for (piece,) in pieces(_in_memory(array)))


def _count(array: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> int:
    wide = np.complex128 if array.dtype.kind == "c" else np.float64
    return sum(int(function(piece.astype(wide)).sum()) for (piece,) in pieces(array))


def variances(tensors: Mapping[str, np.ndarray], keys: Mapping[str, Key]) -> dict[str, np.ndarray]:
    """Those of the tensors that are variances."""
    return {
        name: array
        for name, array in tensors.items()
        if name in keys and keys[name].role == "variance" and is_float(array.dtype)
    }


def faults(
    tensors: Mapping[str, np.ndarray], variances: Mapping[str, np.ndarray] | None = None
) -> Faults:
    """What is wrong with the numbers of ``tensors``, and of those that are variances."""
    bad = [name for name, array in tensors.items() if not is_finite(array)]
    below = {
        name: count
        for name, array in (variances or {}).items()
        if (count := _count(array, lambda numbers: numbers < 0))
    }
    return Faults(
        sum(_count(tensors[name], np.isnan) for name in bad),
        sum(_count(tensors[name], np.isinf) for name in bad),
        tuple(bad),
        sum(below.values()),
        tuple(below),
    )


def refuse(tensors: Mapping[str, np.ndarray], keys: Mapping[str, Key]) -> None:
    """Raises MismatchError where numbers are not sound: what is merged into others hides them."""
    if sentences := faults(tensors, variances(tensors, keys)).sentences():
        raise MismatchError(
            f"not folded: {'; '.join(sentences)}. A batch norm computes nothing with them; convert "
            "without fold (--fold) to keep them as they are, or get a sound file"
        )
