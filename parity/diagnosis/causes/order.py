"""Guesses about order: the right channels, inputs or classes in other places."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from parity.diagnosis.causes.weights import port_parameters, tried
from parity.diagnosis.view import Array, Guess, View, look_up, patches_at, pick, view

_LARGEST_SYSTEM = 1200  # unknowns per output channel that are solved for
_MANY = 8  # images whose positions may serve as equations


def match(found: Array, among: Array) -> Array | None:
    """The permutation p with found = among[p], row by row; None where there is none other than 1.

    Rows of nothing but zeros, as dead channels have, fill the places left over.
    """
    squares = (among**2).sum(axis=1)
    nearest = np.argmin(squares[None] - 2 * found @ among.T, axis=1)
    alive = np.abs(found).max(axis=1) > 1e-9 * np.abs(found).max()
    taken = nearest[alive]
    if len(np.unique(taken)) != len(taken):
        return None
    nearest[~alive] = np.setdiff1d(np.arange(len(among)), taken)
    return None if (nearest[alive] == np.flatnonzero(alive)).all() else nearest


def moved(order: Array) -> str:
    """A permutation in words."""
    at = np.flatnonzero(order != np.arange(len(order)))
    if (order == np.arange(len(order))[::-1]).all():
        return f"all {len(order)} in reverse"
    if len(at) == 2:
        return f"{at[0]} and {at[1]} exchanged"
    return f"{len(at)} of {len(order)} moved: {at[0]} holds {order[at[0]]}'s"


def _by_channel(x: Array) -> Array:
    return np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)


def outputs_permuted(seen: View) -> Iterator[Guess]:
    """The right output channels, or classes, in another order."""
    if seen.given.shape == seen.expected.shape and seen.given.ndim > 1:
        order = match(_by_channel(seen.given), _by_channel(seen.expected))
        if order is not None:
            yield Guess(moved(order), seen.expected[:, order])


def _solved(seen: View) -> Array | None:
    """The convolution's weights as its inputs and outputs tell them, where they do."""
    case, weight = seen.case, seen.step.parameters["weight"]
    given, unknowns = look_up(case.port, seen.layer.name), weight[0].size
    if seen.layer.groups > 1 or unknowns > _LARGEST_SYSTEM or given is None:
        return None
    if seen.given.shape != seen.expected.shape:
        return None
    many = view(case, seen.layer.name, range(min(len(given), _MANY)))
    if many is None or many.given[:, 0].size < unknowns:
        return None
    shape = many.given.shape
    at = pick((shape[0], *shape[2:]), min(many.given[:, 0].size, 2 * unknowns) + unknowns)
    a = patches_at(seen.layer, many.x, at).reshape(len(at[0]), -1)
    normal = a.T @ a
    ridge = 1e-12 * np.trace(normal) / unknowns * np.eye(unknowns)  # for channels never active
    bias = seen.step.parameters.get("bias", 0.0)
    found = np.linalg.solve(normal + ridge, a.T @ (many.given[at[0], :, at[1], at[2]] - bias))
    return found.T.reshape(weight.shape)


def inputs_permuted(seen: View) -> Iterator[Guess]:
    """The right weights with the input channels in another order."""
    role = "weight" if seen.layer.kind == "conv" else "linear_weight"
    own, known = seen.step.parameters[role], port_parameters(seen)
    found = known[role] if known else None
    if seen.layer.kind == "conv" and (found is None or np.array_equal(found, own)):
        found = _solved(seen)
    if found is None or found.shape != own.shape:
        return
    axis = 1 if role == "weight" else 0
    rows = [np.moveaxis(w, axis, 0).reshape(own.shape[axis], -1) for w in (found, own)]
    order = match(*rows)
    if order is not None:
        yield from tried(seen, [(moved(order), np.take(own, order, axis))])
