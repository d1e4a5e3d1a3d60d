"""Channels, classes or layers in another order."""

from __future__ import annotations

import numpy as np

from weight_port.doctor.case import Case, Tensor


def bgr(case: Case, tensor: Tensor) -> bool:
    """The first convolution's three input channels the other way round."""
    if tensor.role != "weight" or tensor.numbers.ndim != 4 or not tensor.telling:
        return False
    given, sound = tensor.by_scheme(tensor.numbers), tensor.by_scheme(tensor.sound)
    return sound.shape[1] == 3 and tensor.near(sound[:, ::-1], given)


def _by_class(tensor: Tensor, array: np.ndarray) -> np.ndarray:
    """A row for each class: the scheme has [inputs, classes]."""
    whole = tensor.by_scheme(array)
    return np.ascontiguousarray(whole.T if whole.ndim == 2 else whole.reshape(-1, 1))


def _permutation(tensor: Tensor) -> list[int] | None:
    """Which class of the reference stands where; None where they are not its classes."""
    if tensor.numbers.shape != tensor.sound.shape:
        return None
    sound = {row.tobytes(): n for n, row in enumerate(_by_class(tensor, tensor.sound))}
    found = [sound.get(row.tobytes()) for row in _by_class(tensor, tensor.numbers)]
    places = [place for place in found if place is not None]
    return places if sorted(places) == list(range(len(found))) else None


def classes(case: Case, tensor: Tensor) -> bool:
    """The classifier's classes in another order, its weights and its biases alike."""
    siblings = case.layers[tensor.layer]
    weight = siblings.get("linear_weight")
    if weight is None or weight.numbers.ndim != 2:
        return False
    order = _permutation(weight)
    if order is None or order == list(range(len(order))):
        return False
    return tensor is weight or (
        tensor.sound.ndim == 1
        and len(order) == tensor.sound.size
        and np.array_equal(tensor.numbers, tensor.sound[order])
    )


def elsewhere(case: Case, tensor: Tensor) -> bool:
    """The tensor of another layer of the network, of the same role and shape."""
    if not np.isfinite(tensor.numbers).all() or np.unique(tensor.numbers[..., :64]).size < 4:
        return False
    return any(
        np.array_equal(tensor.numbers, other.sound)
        for other in case.tensors.values()
        if other is not tensor
        and other.role == tensor.role
        and other.reference.shape == tensor.given.shape
        and tensor.numbers.flat[0] == float(other.reference.flat[0])
    )
