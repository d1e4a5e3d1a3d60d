"""Guesses about a convolution's or the classifier's weights: another layer's, turned, misread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from parity.diagnosis import kernels
from parity.diagnosis.view import Array, Guess, View, layers, relative, view_of
from weight_port import arch


def tried(view: View, named: Iterable[tuple[str, Array]]) -> Iterator[Guess]:
    """The guesses of those weights, each once, that may reproduce the output."""
    role = "weight" if view.layer.kind == "conv" else "linear_weight"
    own, done = view.step.parameters[role], list[Array]()
    for detail, weight in named:
        if any(np.array_equal(weight, other) for other in (own, *done)):
            continue
        done.append(weight)
        if view.promising(**{role: weight}):
            yield Guess(detail, view.recompute(**{role: weight}))


def _same_shaped(view: View) -> Iterator[arch.Layer]:
    shape = view.step.parameters["weight"].shape
    for other in layers(view.case.architecture).values():
        if other.kind == "conv" and other.name != view.layer.name:
            weight = view.case.weights.get(other.parameters[0].name)
            if weight is not None and weight.shape == shape:
                yield other


def _weight_of(view: View, layer: arch.Layer) -> Array:
    return np.asarray(view.case.weights[layer.parameters[0].name], dtype=np.float64)


def another_layers(view: View) -> Iterator[Guess]:
    """The weights of another convolution of the same shape."""
    for other in _same_shaped(view):
        if view.promising(weight=(weight := _weight_of(view, other))):
            yield Guess(f"{other.name}_weights", view.recompute(weight=weight))


def swapped(view: View) -> Iterator[Guess]:
    """Another's weights, where that other layer also computes with this one's."""
    for other in _same_shaped(view):
        weight = _weight_of(view, other)
        if not view.promising(weight=weight):
            continue
        there = view_of(view.case, other.name, view.at)
        if there is None or not there.promising(weight=view.step.parameters["weight"]):
            continue
        mutual = relative(there.recompute(weight=view.step.parameters["weight"]), there.given)
        if mutual <= there.rounding:
            yield Guess(f"{other.name}_weights", view.recompute(weight=weight))


_TURNED: dict[str, Callable[[Array], Array]] = {
    "transposed (kh and kw exchanged)": lambda w: w.transpose(0, 1, 3, 2),
    "turned by 180 degrees (a convolution for a cross-correlation)": lambda w: w[..., ::-1, ::-1],
    "upside down": lambda w: w[..., ::-1, :],
    "mirrored left to right": lambda w: w[..., ::-1],
    "turned by 90 degrees": lambda w: np.rot90(w, 1, (2, 3)),
    "turned by 270 degrees": lambda w: np.rot90(w, 3, (2, 3)),
    "mirrored at the other diagonal": lambda w: w[..., ::-1, ::-1].transpose(0, 1, 3, 2),
}


def turned(view: View) -> Iterator[Guess]:
    """The kernel in one of its seven other orientations."""
    weight = view.step.parameters["weight"]
    return tried(view, ((detail, turn(weight)) for detail, turn in _TURNED.items()))


# Axes of [out, in, kh, kw] in the order of another layout's memory.
_LAYOUTS = {"HWIO": (2, 3, 1, 0), "OHWI": (0, 2, 3, 1), "IOHW": (1, 0, 2, 3), "HWOI": (2, 3, 0, 1)}


def misread(view: View) -> Iterator[Guess]:
    """Memory in another layout, taken for [out, in, kh, kw] or the other way round."""
    weight = view.step.parameters["weight"]

    def candidates() -> Iterator[tuple[str, Array]]:
        for name, axes in _LAYOUTS.items():
            yield f"{name} taken for OIHW", weight.transpose(axes).reshape(weight.shape)
            there = [weight.shape[axis] for axis in axes]
            back = weight.reshape(there).transpose(np.argsort(axes))
            yield f"OIHW taken for {name}", back

    return tried(view, candidates())


def untransposed(view: View) -> Iterator[Guess]:
    """[in, out] memory taken for [out, in], or the other way round; square or not."""
    weight = view.step.parameters["linear_weight"]  # [in, out]
    named = (
        ("[in, out] taken for [out, in]", weight.reshape(weight.T.shape).T),
        ("[out, in] taken for [in, out]", weight.T.reshape(weight.shape)),
    )
    return tried(view, named)


def port_parameters(view: View) -> dict[str, Array] | None:
    """The layer's tensors in the port's checkpoint, by role; None where not known."""
    known, rows = view.case.port_weights, view.layer.parameters
    if known is None or not rows or any(row.name not in known for row in rows):
        return None
    return {row.role: np.asarray(known[row.name], dtype=np.float64) for row in rows}


def bias_missing(view: View) -> Iterator[Guess]:
    """The layer without its bias."""
    role = "bias" if view.layer.kind == "conv" else "linear_bias"
    if role in view.step.parameters:
        zeros = np.zeros_like(view.step.parameters[role])
        yield Guess("", view.recompute(**{role: zeros}))


def folded(view: View) -> Iterator[Guess]:
    """The batch norm's output where the convolution's is looked for."""
    by_name, conv = layers(view.case.architecture), view.layer.name
    norm = by_name.get(f"{conv}_bn") or by_name.get(arch.batch_norm_name(conv))
    if norm is None:  # a classic network without batch norms
        return
    names = {row.role: row.name for row in norm.parameters}
    tensors = {role: np.asarray(view.case.weights[n], np.float64) for role, n in names.items()}
    output = kernels.batch_norm(view.expected, **tensors, epsilon=view.case.epsilon)
    yield Guess(norm.name, output, view.rounded_tensors)


def as_in_the_checkpoint(view: View) -> Iterator[Guess]:
    """The weights of the port's own checkpoint, whatever they are."""
    known = port_parameters(view)
    own = view.step.parameters
    if known is None or any(known[role].shape != own[role].shape for role in own):
        return
    names = {row.role: row.name for row in view.layer.parameters}
    counts = {role: int((known[role] != own[role]).sum()) for role in own}
    detail = [f"{names[r]} in {n} of {own[r].size} values" for r, n in counts.items() if n]
    if detail:
        yield Guess(", ".join(detail), view.recompute(**known))
