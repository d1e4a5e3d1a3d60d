"""What a rule may do to tensors: a closed list, each with what undoes it.

An operation takes the arrays of a rule in order and gives arrays; most do to each what they do to
one. Nothing is computed but by ``scale``, ``cast`` and ``fold``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from weight_port.conversion import casts
from weight_port.conversion import fold as folding
from weight_port.conversion.check import is_float
from weight_port.errors import MismatchError
from weight_port.rules.patterns import Pattern

Arrays = list[np.ndarray]
Fetch = Callable[[Pattern], np.ndarray]  # from a pattern to the source's tensor under that name


class Operation(Protocol):
    """One step of a rule."""

    def apply(self, arrays: Arrays, fetch: Fetch) -> Arrays:
        """The arrays after the step. Raises MismatchError where they don't fit it."""

    def inverse(self) -> Operation | None:
        """The step that gives the arrays back, to the bit; None where there is none."""


@dataclass(frozen=True)
class Transpose:
    """The axes in another order."""

    axes: tuple[int, ...]

    def apply(self, arrays: Arrays, fetch: Fetch) -> Arrays:
        """See ``Operation``."""
        for array in arrays:
            if array.ndim != len(self.axes):
                raise MismatchError(f"transposes {len(self.axes)} axes of {list(array.shape)}")
        return [array.transpose(self.axes) for array in arrays]

    def inverse(self) -> Operation:
        """See ``Operation``."""
        return Transpose(tuple(self.axes.index(axis) for axis in range(len(self.axes))))


@dataclass(frozen=True)
class Reshape:
    """The same elements, in C order, in another shape."""

    shape: tuple[int, ...]
    before: tuple[int, ...]

    def apply(self, arrays: Arrays, fetch: Fetch) -> Arrays:
        """See ``Operation``."""
        for array in arrays:
            if array.shape != self.before:
                raise MismatchError(f"reshapes {list(self.before)}, not {list(array.shape)}")
        return [array.reshape(self.shape) for array in arrays]

    def inverse(self) -> Operation:
        """See ``Operation``."""
        return Reshape(self.before, self.shape)


@dataclass(frozen=True)
class Split:
    """One array in parts along an axis: so many equal ones, or of these lengths."""

    parts: int | tuple[int, ...]
    axis: int = 0

    def apply(self, arrays: Arrays, fetch: Fetch) -> Arrays:
        """See ``Operation``."""
        if len(arrays) != 1:
            raise MismatchError(f"splits one tensor, not {len(arrays)}")
        length = _length(arrays[0], self.axis)
        lengths = self.parts
        if isinstance(lengths, int):
            if length % lengths:
                raise MismatchError(f"splits {length} in {lengths} equal parts")
            lengths = lengths * (length // lengths,)
        if sum(lengths) != length:
            raise MismatchError(f"splits {length} in parts of {list(lengths)}")
        cuts = np.cumsum(lengths[:-1])
        return list(np.split(arrays[0], cuts, self.axis))

    def inverse(self) -> Operation:
        """See ``Operation``."""
        return Concatenate(self.parts, self.axis)


@dataclass(frozen=True)
class Concatenate:
    """Arrays one after the other along an axis: so many of equal length, or of these lengths."""

    parts: int | tuple[int, ...]
    axis: int = 0

    def apply(self, arrays: Arrays, fetch: Fetch) -> Arrays:
        """See ``Operation``."""
        lengths = tuple(_length(array, self.axis) for array in arrays)
        equal = isinstance(self.parts, int) and len(set(lengths)) == 1
        if not (equal and len(arrays) == self.parts) and lengths != self.parts:
            expected = self.parts if isinstance(self.parts, int) else list(self.parts)
            raise MismatchError(f"concatenates {expected} parts, not of {list(lengths)}")
        rests = {(*a.shape[: self.axis], *a.shape[self.axis + 1 :], str(a.dtype)) for a in arrays}
        if len(rests) > 1:
            raise MismatchError("concatenates tensors whose other axes or dtypes differ")
        return [np.concatenate(arrays, self.axis)]

    def inverse(self) -> Operation:
        """See ``Operation``."""
        return Split(self.parts, self.axis)


@dataclass(frozen=True)
class Permute:
    """An axis cut into equal blocks (gates, heads, channels), which stand in another order."""

    order: tuple[int, ...]
    axis: int = 0

    def apply(self, arrays: Arrays, fetch: Fetch) -> Arrays:
        """See ``Operation``."""
        return [self._one(array) for array in arrays]

    def _one(self, array: np.ndarray) -> np.ndarray:
        length = _length(array, self.axis)
        if length % len(self.order):
            raise MismatchError(f"permutes {len(self.order)} equal blocks of {length}")
        blocks = np.split(array, len(self.order), self.axis)
        return np.concatenate([blocks[place] for place in self.order], self.axis)

    def inverse(self) -> Operation:
        """See ``Operation``."""
        return Permute(tuple(self.order.index(p) for p in range(len(self.order))), self.axis)


@dataclass(frozen=True)
class Cast:
    """The numbers in another dtype."""

    dtype: str
    before: str
    exact: bool = False  # refuse to round: it undoes a cast that did not

    def apply(self, arrays: Arrays, fetch: Fetch) -> Arrays:
        """See ``Operation``."""
        return [self._one(array) for array in arrays]

    def _one(self, array: np.ndarray) -> np.ndarray:
        if str(array.dtype) != self.before:
            raise MismatchError(f"casts {self.before}, not {array.dtype}")
        result = casts.cast(array, dtype(self.dtype), "its tensor")
        to_the_bit = self.exact or self.inverse() is not None
        if to_the_bit and result.astype(array.dtype).tobytes() != array.tobytes():
            raise MismatchError(f"some of its numbers are none of {self.dtype}")
        return result

    def inverse(self) -> Operation | None:
        """See ``Operation``."""
        holds = self.before == self.dtype or dtype(self.before) in _HOLDS.get(self.dtype, ())
        return Cast(self.before, self.dtype, exact=True) if holds else None


@dataclass(frozen=True)
class Scale:
    """Every number times a factor; by a power of two without rounding."""

    factor: float

    def apply(self, arrays: Arrays, fetch: Fetch) -> Arrays:
        """See ``Operation``."""
        return [self._one(array) for array in arrays]

    def _one(self, array: np.ndarray) -> np.ndarray:
        if not is_float(array.dtype):
            raise MismatchError(f"scales floating-point numbers, not {array.dtype}")
        with np.errstate(all="ignore"):
            result = folding.scaled(array, self.factor)
            back = folding.scaled(result, 1 / self.factor)
        if self._exact and back.tobytes() != array.tobytes():
            raise MismatchError(f"some of its numbers times {self.factor} are out of {array.dtype}")
        return result

    @property
    def _exact(self) -> bool:
        return abs(math.frexp(self.factor)[0]) == 0.5

    def inverse(self) -> Operation | None:
        """See ``Operation``."""
        return Scale(1 / self.factor) if self._exact else None


@dataclass(frozen=True)
class Fold:
    """A tensor that takes up another one, for which the target has no place."""

    what: str  # a name of FOLDS
    beside: Pattern  # the other tensor's name
    before: float = 0.0  # epsilons
    after: float = 0.0

    def apply(self, arrays: Arrays, fetch: Fetch) -> Arrays:
        """See ``Operation``."""
        other = fetch(self.beside)
        epsilons = (self.before, self.after) if self.what == "epsilon" else ()
        for array in arrays:
            if other.size != 1 and other.shape != array.shape:
                raise MismatchError(f"folds {list(other.shape)} into {list(array.shape)}")
        return [FOLDS[self.what](array, other, *epsilons) for array in arrays]

    def inverse(self) -> None:
        """See ``Operation``."""
        return


FOLDS: dict[str, Callable[..., np.ndarray]] = {
    "bias": folding.without_bias,
    "factor": folding.without_factor,
    "epsilon": folding.with_epsilon,
}
DTYPES = (
    "float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool",
)  # fmt: skip


def dtype(name: str) -> np.dtype:
    """The dtype of a name in ``DTYPES``."""
    if name == "bfloat16":
        import ml_dtypes  # NumPy has none

        brain: np.dtype = np.dtype(ml_dtypes.bfloat16)
        return brain
    return np.dtype(name)


def _held() -> dict[str, Sequence[np.dtype]]:
    """From a dtype to those all of whose numbers it has."""
    half, brain, single = dtype("float16"), dtype("bfloat16"), dtype("float32")
    small = [np.dtype(name) for name in ("int8", "uint8")]
    return {
        "float32": [half, brain],
        "float64": [half, brain, single],
        "int16": small,
        "int32": [*small, np.dtype(np.int16)],
        "int64": [*small, np.dtype(np.int16), np.dtype(np.int32)],
    }


_HOLDS = _held()


def _length(array: np.ndarray, axis: int) -> int:
    if not 0 <= axis < array.ndim:
        raise MismatchError(f"has no axis {axis}: {list(array.shape)}")
    return int(array.shape[axis])
