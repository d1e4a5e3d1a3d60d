"""Batch norms: their tensors exchanged, their statistics of another kind, or folded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from weight_port.doctor.case import Case, Tensor

Explains = Callable[[Case, Tensor], bool]
_FOLDED = 1e-4  # relative: another order of the products, in float32


def exchanged(*roles: str) -> Explains:
    """Whether two tensors of a batch norm stand in each other's place."""

    def explains(case: Case, tensor: Tensor) -> bool:
        siblings = case.layers[tensor.layer]
        if tensor.role not in roles or not all(role in siblings for role in roles):
            return False
        one, other = (siblings[role] for role in roles)
        different = not np.array_equal(one.sound, other.sound)
        return different and one.near(other.sound) and other.near(one.sound)

    return explains


def _variance(tensor: Tensor) -> bool:
    return tensor.role == "variance" and tensor.numbers.shape == tensor.sound.shape


def deviation(case: Case, tensor: Tensor) -> bool:
    """The root of the variance."""
    return _variance(tensor) and tensor.telling and tensor.near(np.sqrt(np.abs(tensor.sound)))


def inverse(case: Case, tensor: Tensor) -> bool:
    """What a norm multiplies by: one over the root, the epsilon added or not."""
    if not _variance(tensor) or not tensor.telling:
        return False
    with np.errstate(divide="ignore"):
        return any(
            tensor.near(1 / np.sqrt(np.abs(tensor.sound) + epsilon))
            for epsilon in (0, case.epsilon)
        )


def epsilon_added(case: Case, tensor: Tensor) -> bool:
    """The variance with an epsilon in it."""
    if not _variance(tensor) or not tensor.telling:
        return False
    more = tensor.numbers - tensor.sound
    usual = any(abs(np.median(more) / epsilon - 1) < 0.05 for epsilon in (1e-5, 1.001e-5, 1e-3))
    return usual and tensor.near(tensor.sound + np.median(more))


def biased(case: Case, tensor: Tensor) -> bool:
    """The variance times n / (n - 1) or the inverse, for some whole n from 2 on."""
    if not _variance(tensor) or not tensor.telling or not tensor.sound.all():
        return False
    factor = float(np.median(tensor.numbers / tensor.sound))
    if factor == 1 or not 0.5 <= factor <= 2 or not tensor.near(tensor.sound * factor):
        return False
    more = max(factor, 1 / factor)
    count = round(more / (more - 1))
    # Of larger samples the roundings hide which n it was.
    return count > 1000 or abs(count / (count - 1) - more) < 4 * tensor.tolerance


# -- folded


def _gain(case: Case, layer: str) -> np.ndarray | None:
    """What the reference's batch norm multiplies each channel of a convolution by."""
    norm = case.layers.get(case.norms.get(layer, ""), {})
    if "scale" not in norm or "variance" not in norm:
        return None
    with np.errstate(invalid="ignore"):
        return np.asarray(norm["scale"].sound / np.sqrt(norm["variance"].sound + case.epsilon))


def _times(case: Case, tensor: Tensor, power: int) -> bool:
    gain = _gain(case, tensor.layer) if tensor.role == "weight" else None
    if gain is None or tensor.numbers.shape != tensor.sound.shape:
        return False
    sound, given = tensor.by_scheme(tensor.sound), tensor.by_scheme(tensor.numbers)
    expected = sound * gain.reshape(-1, *[1] * (sound.ndim - 1)) ** power
    return np.allclose(given, expected, _FOLDED, _FOLDED * float(np.abs(expected).max()))


def _kept(case: Case, layer: str) -> bool:
    """Whether a convolution's batch norm is the reference's."""
    return not any(t.name in case.damaged for t in case.layers[case.norms[layer]].values())


def folded(case: Case, tensor: Tensor) -> bool:
    """The batch norm is in the convolution's weights, and changed."""
    return _times(case, tensor, 1) and not _kept(case, tensor.layer)


def folded_and_kept(case: Case, tensor: Tensor) -> bool:
    """It is in the weights, and there as before: it will be applied twice."""
    return _times(case, tensor, 1) and _kept(case, tensor.layer)


def folded_twice(case: Case, tensor: Tensor) -> bool:
    """It is in the weights twice."""
    return _times(case, tensor, 2)


def of_folded(case: Case, tensor: Tensor) -> bool:
    """A tensor of a batch norm that is in the convolution: a constant, or the rest of the sum."""
    conv = next((conv for conv, norm in case.norms.items() if norm == tensor.layer), None)
    weights = case.layers.get(conv or "", {}).get("weight")
    if weights is None or not (_times(case, weights, 1) or _times(case, weights, 2)):
        return False
    norm, gain = case.layers[tensor.layer], _gain(case, weights.layer)
    if tensor.role != "offset" or gain is None or "mean" not in norm:
        return bool((tensor.numbers == tensor.numbers.flat[0]).all())
    rest = tensor.sound - norm["mean"].sound * gain
    return np.allclose(tensor.numbers, rest, _FOLDED, _FOLDED * float(np.abs(rest).max(initial=1)))
