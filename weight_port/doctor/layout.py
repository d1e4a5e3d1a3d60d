"""The same numbers in another order."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from weight_port.doctor.case import Case, Tensor


def transposed(case: Case, tensor: Tensor) -> bool:
    """A linear weight as the other framework has it; of a square one only the numbers tell."""
    two = tensor.sound.ndim == 2 and tensor.telling
    return two and tensor.near(tensor.sound.T)


def memory_order(case: Case, tensor: Tensor) -> bool:
    """The bytes of an array whose axes stood otherwise in memory, as if they stood in C's order.

    safetensors 0.8.0 writes arrays that are not C-contiguous so (its issue 825), as an export that
    calls ``tobytes("F")`` does.
    """
    sound = tensor.sound
    if sound.ndim < 2 or not tensor.telling or tensor.numbers.shape != sound.shape:
        return False
    flat = tensor.numbers.reshape(-1)
    return any(
        tensor.near(sound.transpose(axes).reshape(-1), flat)
        for axes in permutations(range(sound.ndim))
        if axes != tuple(range(sound.ndim))
    )


def _kernel(tensor: Tensor) -> tuple[np.ndarray, np.ndarray] | None:
    """(given, sound) of a convolution in the scheme's order of axes, None for another tensor."""
    if tensor.role != "weight" or tensor.numbers.ndim != 4 or not tensor.telling:
        return None
    return tensor.by_scheme(tensor.numbers), tensor.by_scheme(tensor.sound)


def channels_exchanged(case: Case, tensor: Tensor) -> bool:
    """Input and output channels."""
    kernel = _kernel(tensor)
    return kernel is not None and tensor.near(kernel[1].transpose(1, 0, 2, 3), kernel[0])


def sides_exchanged(case: Case, tensor: Tensor) -> bool:
    """Height and width."""
    kernel = _kernel(tensor)
    return kernel is not None and tensor.near(kernel[1].transpose(0, 1, 3, 2), kernel[0])


def turned(case: Case, tensor: Tensor) -> bool:
    """By 180 degrees: a convolution of signal processing, not a correlation."""
    kernel = _kernel(tensor)
    return kernel is not None and tensor.near(kernel[1][:, :, ::-1, ::-1], kernel[0])


def bytes_exchanged(case: Case, tensor: Tensor) -> bool:
    """The bytes of every number the other way round."""
    given, reference = tensor.given, tensor.reference
    if given.dtype != reference.dtype or given.dtype.itemsize == 1 or not tensor.telling:
        return False
    if given.dtype.kind not in "fc" or given.shape != reference.shape:
        return False
    size = given.dtype.itemsize // (2 if given.dtype.kind == "c" else 1)
    bits = np.ascontiguousarray(given).reshape(-1).view(f"u{size}")
    return np.array_equal(
        bits.byteswap(), np.ascontiguousarray(reference).reshape(-1).view(bits.dtype)
    )


def cut_short(case: Case, tensor: Tensor) -> bool:
    """Right at first, zeros from somewhere on."""
    if tensor.numbers.shape != tensor.sound.shape or not tensor.telling:
        return False
    given, sound = tensor.numbers.reshape(-1), tensor.sound.reshape(-1)
    different = np.flatnonzero(given != sound)
    first = int(different[0]) if different.size else 0
    rest = given[first:]
    # One or two zeros may stand for anything.
    return first > 0 and rest.size >= 4 and not rest.any() and bool(sound[first:].any())


def shifted(case: Case, tensor: Tensor) -> bool:
    """Read from some elements too early or too late, up to 64: a header of another length."""
    if tensor.numbers.shape != tensor.sound.shape or tensor.sound.size < 256:
        return False
    given, sound = tensor.numbers.reshape(-1), tensor.sound.reshape(-1)
    return tensor.telling and any(
        np.array_equal(given[:-by], sound[by:]) or np.array_equal(given[by:], sound[:-by])
        for by in range(1, 65)
    )
