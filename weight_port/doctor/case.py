"""A file beside a sound one: their tensors by names that both share, and which of them differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np

from weight_port import arch
from weight_port.conversion.numbers import pieces
from weight_port.conversion.recognise import Recognised, recognise
from weight_port.dialects.keys import DIALECTS, Key
from weight_port.errors import DialectError
from weight_port.formats.contents import Contents

_ROUNDINGS = 16  # by which two ways of computing one number may differ
_FEW = 64  # elements
_ENOUGH = 4  # elements; of fewer, too many guesses come true


@dataclass(frozen=True)
class Tensor:
    """One tensor of the file, and of the reference with its axes in the file's order."""

    name: str  # the scheme's, or the file's own where no network is known
    key: str  # the file's own
    layer: str
    role: str
    given: np.ndarray
    reference: np.ndarray
    order: tuple[int, ...] = ()  # of the scheme's axes in the file

    @cached_property
    def numbers(self) -> np.ndarray:
        """What the file has, in float64."""
        return wide(self.given)

    @cached_property
    def sound(self) -> np.ndarray:
        """What the reference has, in float64."""
        return wide(self.reference)

    @property
    def telling(self) -> bool:
        """Whether the reference has numbers enough, and not all the same, to tell by."""
        return self.sound.size >= _ENOUGH and bool(self.sound.min() != self.sound.max())

    def by_scheme(self, array: np.ndarray) -> np.ndarray:
        """``array`` with its axes in the scheme's order: of a convolution, out, in, high, wide."""
        return array.transpose(np.argsort(self.order)) if self.order else array

    @property
    def tolerance(self) -> float:
        """Relative, of the coarser dtype of the two."""
        return _ROUNDINGS * max(_epsilon(self.given.dtype), _epsilon(self.reference.dtype))

    def near(self, expected: np.ndarray, given: np.ndarray | None = None) -> bool:
        """Whether what the file has is ``expected``, up to roundings."""
        given = self.numbers if given is None else given
        if given.shape != expected.shape:
            return False
        bounds = (self.tolerance, self.tolerance * self.scale)
        # Of most guesses a few numbers are enough.
        first = np.allclose(given.flat[:_FEW], expected.flat[:_FEW], *bounds, equal_nan=True)
        return first and np.allclose(given, expected, *bounds, equal_nan=True)

    @cached_property
    def scale(self) -> float:
        """The largest of the reference's finite numbers."""
        return float(np.max(np.abs(self.sound[np.isfinite(self.sound)]), initial=0.0))

    def forget(self) -> None:
        """Let go of the numbers in float64."""
        for name in ("numbers", "sound"):
            vars(self).pop(name, None)


def wide(array: np.ndarray) -> np.ndarray:
    """The numbers in float64, or complex128."""
    with np.errstate(invalid="ignore"):  # a signalling NaN, of bytes that are no weight's
        return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _epsilon(dtype: np.dtype) -> float:
    if dtype.name == "bfloat16":
        return 2.0**-8
    return float(np.finfo(dtype).eps) if dtype.kind in "fc" else 0.0


@dataclass(frozen=True)
class Case:
    """All tensors that both have, by name; ``norms`` leads from a convolution to its batch norm."""

    tensors: Mapping[str, Tensor]
    norms: Mapping[str, str] = field(default_factory=dict)
    epsilon: float = 1e-5

    @cached_property
    def damaged(self) -> dict[str, Tensor]:
        """Those that differ: as numbers, whatever their dtypes."""
        return {name: t for name, t in self.tensors.items() if not _equal(t)}

    @cached_property
    def layers(self) -> dict[str, dict[str, Tensor]]:
        """Layer to role to tensor."""
        table: dict[str, dict[str, Tensor]] = {}
        for tensor in self.tensors.values():
            table.setdefault(tensor.layer, {})[tensor.role] = tensor
        return table


def _equal(tensor: Tensor) -> bool:
    a, b = tensor.given, tensor.reference
    return a is b or (
        a.shape == b.shape
        and all(np.array_equal(wide(x), wide(y), equal_nan=True) for x, y in pieces(a, b))
    )


def of_networks(file: Recognised, reference: Recognised) -> Case:
    """Two files of one network, whatever their dialects."""
    entries, others = file.detection.keys(True), reference.detection.keys(True)
    sound = {others[key].name: (others[key], a) for key, a in reference.tensors.items()
             if key in others}  # fmt: skip
    tensors = {
        entry.name: _tensor(entry, key, array, *sound[entry.name])
        for key, array in file.tensors.items()
        if (entry := entries.get(key)) and entry.name in sound and entry.role != "counter"
    }
    layers = arch.layers(file.detection.architecture, **file.detection.sizes)
    norms = {conv.name: norm.name for conv, norm in pairwise(layers) if norm.kind == "batch_norm"}
    return Case(tensors, norms, DIALECTS[file.detection.dialect].epsilon)


def _tensor(entry: Key, key: str, given: np.ndarray, other: Key, sound: np.ndarray) -> Tensor:
    whole = other.order and sound.ndim == len(other.order)
    scheme = sound.transpose(np.argsort(other.order)) if whole else sound
    laid = scheme.transpose(entry.order) if entry.order else scheme
    return Tensor(entry.name, key, entry.layer, entry.role, given, laid, entry.order)


def between(file: Contents, reference: Contents) -> Case:
    """Two files, as one network where both are, else by their own names."""
    network, sound = recognised(file), recognised(reference)
    if network and sound and _same_tensors(network, sound):
        return of_networks(network, sound)
    return of_names(file.tensors, reference.tensors)


def recognised(contents: Contents) -> Recognised | None:
    """The network in a file, None where none is known."""
    try:
        return recognise(contents)
    except DialectError:
        return None


def _same_tensors(first: Recognised, second: Recognised) -> bool:
    one, other = (arch.architecture(side.detection.architecture) for side in (first, second))
    return one.tensors == other.tensors


def of_names(file: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]) -> Case:
    """Two sets of tensors of no known network, by their own names."""
    return Case(
        {
            key: Tensor(key, key, key, "", array, reference[key])
            for key, array in file.items()
            if key in reference and array.dtype.kind not in "iub"
        }
    )
