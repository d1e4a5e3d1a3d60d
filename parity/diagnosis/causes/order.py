"""Guesses about order: the right channels, inputs or classes in other places."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from parity.diagnosis.causes.weights import port_parameters, tried
from parity.diagnosis.view import Array, Guess, View, look_up, patches_at, pick, view_of

_LARGEST_SYSTEM = 1200  # unknowns per output channel that are solved for
_MANY = 8  # images whose positions may serve as equations


def match(rows: Array, among: Array) -> Array | None:
    """The permutation p with rows = among[p]; None where there is none, or nothing is moved.

    Rows of zeros only, as dead channels have, get the places that are left.
    """
    squares = (among**2).sum(axis=1)
    nearest = np.argmin(squares[None] - 2 * rows @ among.T, axis=1)
    alive = np.abs(rows).max(axis=1) > 1e-9 * np.abs(rows).max()
    taken = nearest[alive]
    if len(np.unique(taken)) != len(taken):
        return None
    nearest[~alive] = np.setdiff1d(np.arange(len(among)), taken)
    return None if (nearest[alive] == np.flatnonzero(alive)).all() else nearest


def moved(order: Array) -> str:
    """A permutation for a sentence."""
    at = np.flatnonzero(order != np.arange(len(order)))
    if (order == np.arange(len(order))[::-1]).all():
        return f"all {len(order)} in reverse"
    if len(at) == 2:
        return f"{at[0]} and {at[1]} exchanged"
    return f"{len(at)} of {len(order)} moved: {at[0]} holds {order[at[0]]}'s"


def _by_channel(x: Array) -> Array:
    return np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)


def outputs_permuted(view: View) -> Iterator[Guess]:
    """The right output channels, or classes, in another order."""
    if view.given.shape == view.expected.shape and view.given.ndim > 1:
        order = match(_by_channel(view.given), _by_channel(view.expected))
        if order is not None:
            yield Guess(moved(order), view.expected[:, order])


def _solved(view: View) -> Array | None:
    """The convolution's weights, solved for from its inputs and outputs, where they suffice."""
    case, weight = view.case, view.step.parameters["weight"]
    given, unknowns = look_up(case.port, view.layer.name), weight[0].size
    if view.layer.groups > 1 or unknowns > _LARGEST_SYSTEM or given is None:
        return None
    if view.given.shape != view.expected.shape:
        return None
    many = view_of(case, view.layer.name, range(min(len(given), _MANY)))
    if many is None or many.given[:, 0].size < unknowns:
        return None
    shape = many.given.shape
    at = pick((shape[0], *shape[2:]), min(many.given[:, 0].size, 2 * unknowns) + unknowns)
    a = patches_at(view.layer, many.x, at).reshape(len(at[0]), -1)
    normal = a.T @ a
    ridge = 1e-12 * np.trace(normal) / unknowns * np.eye(unknowns)  # for channels never active
    bias = view.step.parameters.get("bias", 0.0)
    weights = np.linalg.solve(normal + ridge, a.T @ (many.given[at[0], :, at[1], at[2]] - bias))
    return weights.T.reshape(weight.shape)


def inputs_permuted(view: View) -> Iterator[Guess]:
    """The right weights with the input channels in another order."""
    role = "weight" if view.layer.kind == "conv" else "linear_weight"
    own, known = view.step.parameters[role], port_parameters(view)
    theirs = known[role] if known else None
    if view.layer.kind == "conv" and (theirs is None or np.array_equal(theirs, own)):
        theirs = _solved(view)
    if theirs is None or theirs.shape != own.shape:
        return
    axis = 1 if role == "weight" else 0
    rows = [np.moveaxis(w, axis, 0).reshape(own.shape[axis], -1) for w in (theirs, own)]
    order = match(*rows)
    if order is not None:
        yield from tried(view, [(moved(order), np.take(own, order, axis))])
