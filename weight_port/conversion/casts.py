"""Numbers in another dtype: of none is there less than before, or none is made.

A training in mixed precision keeps its convolutions in float16 and its batch norms in float32
(https://pytorch.org/docs/stable/notes/amp_examples.html, NVIDIA's apex at O2): the statistics of
the one need not fit the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from weight_port.conversion.check import is_float
from weight_port.errors import MismatchError, shown
from weight_port.storage.buffers import own

_MOST = np.dtype(np.float64)  # what a framework's tensors can have; NumPy's longdouble is none


def widest(dtypes: Iterable[np.dtype]) -> np.dtype:
    """The narrowest floating dtype that holds the numbers of all ``dtypes``, at most float64.

    float16 and bfloat16 together are float32: neither holds the other.
    """
    kinds = {dtype.newbyteorder("=") for dtype in dtypes}
    if len(kinds) > 1:  # NumPy knows no dtype for the two halves
        kinds = {np.dtype(np.float32) if dtype.itemsize == 2 else dtype for dtype in kinds}
    return min(max(kinds, key=lambda dtype: dtype.itemsize), _MOST, key=lambda d: d.itemsize)


def cast(array: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
    """``array`` in ``dtype``, uncopied where it has it.

    Raises MismatchError where a number would become infinite.
    """
    if array.dtype == dtype:
        return array
    array = own(array)
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = array.astype(dtype)
    lost = np.isfinite(array) & ~np.isfinite(narrow)
    if lost.any():
        raise MismatchError(
            f"{shown(name)}: {int(lost.sum())} of its numbers are too large for {dtype} and would "
            f"become infinite, {array[lost].flat[0]} first; keep {array.dtype}"
        )
    return narrow


def unified(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors for a model of one dtype: all that are floating in the widest that is there.

    Those of whole numbers (``num_batches_tracked``) stay as they are. Raises MismatchError where a
    number would become infinite.
    """
    dtype = widest(array.dtype for array in tensors.values() if is_float(array.dtype))
    return {
        key: cast(array, dtype, key) if is_float(array.dtype) else array
        for key, array in tensors.items()
    }


def counter(array: np.ndarray, name: str) -> np.ndarray:
    """``num_batches_tracked`` as torch has it, in int64, whatever a cast of the whole file left.

    Raises MismatchError where it is no whole number.
    """
    if array.dtype == np.int64:
        return array
    array = own(array)
    if array.dtype.kind == "c" or not _whole(array):
        raise MismatchError(f"{shown(name)}: a counter must be a whole number, and is {array}")
    return array.astype(np.int64)


def _whole(array: np.ndarray) -> bool:
    """Whether all the numbers are whole, and int64 has them."""
    wide = array.astype(np.float64)
    return bool(np.all(np.isfinite(wide) & (wide == np.trunc(wide)) & (np.abs(wide) < 2.0**63)))
