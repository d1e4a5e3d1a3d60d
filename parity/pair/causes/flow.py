"""The cause of a value that a function made between the layers: what it is of the layers' outputs.

Both sides' values are looked for among simple functions of what the layers before gave: a sum, a
product, an activation, axes in another order. A cause is named only where both are found.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from parity.diagnosis.view import ROUNDING, relative
from parity.pair.causes.kernels import ACTIVATIONS, Array
from parity.pair.causes.layer import Finding

_CALLS = "relu", "relu6", "gelu", "sigmoid", "tanh", "silu", "hardswish", "hardsigmoid"


@dataclass(frozen=True)
class Expression:
    """A function of layers' outputs, in words, and its parts."""

    words: str
    terms: frozenset[str]
    operation: str = ""  # + or *
    shape: str = ""  # what was done to the axes
    activation: str = ""


def find(
    torch: Array, paddle: Array, mine: Mapping[str, Array], theirs: Mapping[str, Array]
) -> Finding | None:
    """Why a value differs: what each side's is. ``mine`` and ``theirs`` are outputs by name."""
    if related := _related(torch, paddle):
        return related
    one, other = _expression(torch, mine), _expression(paddle, theirs)
    if one is None or other is None or one == other:
        return None
    sentence = f"in PyTorch it is {one.words}, in Paddle {other.words}"
    return Finding(_cause(one, other), sentence, relative(torch, paddle), 0.0)


def _related(torch: Array, paddle: Array) -> Finding | None:
    """What one value is of the other, element by element: dropped, or a multiple."""
    if torch.shape != paddle.shape or torch.dtype.kind != "f" or not paddle.any():
        return None
    for names, kept, whole in (("PyTorch", torch, paddle), ("Paddle", paddle, torch)):
        left = (kept != 0) & (whole != 0)
        if not left.any():
            continue
        factor = float(np.median(kept[left] / whole[left]))
        dropped = 1 - left.sum() / max(1, (whole != 0).sum())
        multiple = np.where(kept != 0, whole * factor, 0.0)
        if relative(multiple, kept) > ROUNDING["float64"]:
            continue
        difference = relative(torch, paddle)
        if dropped > 0 and abs(factor * (1 - dropped) - 1) < 0.5:
            words = f"{names} drops {dropped:.0%} of the values: dropout is left on"
            return Finding("dropout_on", words, difference, relative(multiple, kept))
        if dropped == 0:
            words = f"{names}'s is {factor:.6g} times the other's"
            return Finding("scaled", words, difference, relative(multiple, kept))
    return None


def _cause(torch: Expression, paddle: Expression) -> str:
    """What is other, in a word."""
    if torch.terms != paddle.terms:
        if torch.terms < paddle.terms:
            return "term_missing"
        return "term_added" if paddle.terms < torch.terms else "other_terms"
    if torch.shape != paddle.shape:
        return "axes"
    if torch.operation != paddle.operation:
        return "function"
    if torch.activation == paddle.activation:
        return "function"
    if not torch.activation:
        return "activation_missing"
    return "activation" if paddle.activation else "activation_added"


def _expression(value: Array, sources: Mapping[str, Array]) -> Expression | None:
    """The first expression that gives the value, the plainest first."""
    for expression, output in _expressions(value, sources):
        if output.shape == value.shape and relative(output, value) <= ROUNDING["float64"]:
            return expression
    return None


def _expressions(value: Array, sources: Mapping[str, Array]) -> Iterator[tuple[Expression, Array]]:
    """(expression, what it gives) of the value's size."""
    plain = list(_plain(value, sources))
    yield from plain
    with np.errstate(all="ignore"):
        for expression, output in plain:
            if output.shape != value.shape:
                continue
            for name, function in _functions(output, value):
                words = f"{name} of {expression.words}"
                yield replace(expression, words=words, activation=name), function(output)


def _functions(x: Array, value: Array) -> Iterator[tuple[str, Callable[[Array], Array]]]:
    for name in _CALLS:
        yield name, lambda x, name=name: ACTIVATIONS[name](x, {})  # type: ignore[misc]
    yield "gelu's tanh form", lambda x: ACTIVATIONS["gelu"](x, {"approximate": True})
    below = np.flatnonzero(x < 0)
    if below.size:  # a slope that fits one element fits all, or it is none
        slope = float(value.flat[below[0]] / x.flat[below[0]])
        if slope:
            yield f"leaky relu ({slope:.4g})", lambda x: np.where(x > 0, x, x * slope)


def _plain(value: Array, sources: Mapping[str, Array]) -> Iterator[tuple[Expression, Array]]:
    """Outputs as they are, in other axes, and sums and products of two."""
    latest = dict(reversed(list(sources.items())))
    for name, array in latest.items():
        if array.size == value.size:
            for shape, turned in _turned(array, value.shape):
                words = f"{name}{' ' + shape if shape else ''}"
                yield Expression(words, frozenset({name}), shape=shape), turned
    fitting = {n: a for n, a in latest.items() if a.dtype.kind == "f" and _fits(a, value)}
    for (a, x), (b, y) in itertools.combinations(fitting.items(), 2):
        if np.broadcast_shapes(x.shape, y.shape) == value.shape:
            yield Expression(f"{b} + {a}", frozenset({a, b}), "+"), x + y
            yield Expression(f"{b} * {a}", frozenset({a, b}), "*"), x * y


def _fits(array: Array, value: Array) -> bool:
    """Whether it may be a term: its shape broadcasts to the value's."""
    pairs = zip(array.shape[::-1], value.shape[::-1], strict=False)
    return array.ndim == value.ndim and all(a in (1, b) for a, b in pairs)


def _turned(array: Array, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """An array as it is or reshaped, and with its axes in other orders before that."""
    if array.shape == shape:
        yield "", array
    else:
        yield "reshaped", array.reshape(shape)
    if 2 <= array.ndim <= 4:
        for order in list(itertools.permutations(range(array.ndim)))[1:]:
            turned = array.transpose(order)
            if turned.shape == shape:
                yield f"with axes {order}", turned
            else:
                yield f"with axes {order}, reshaped", turned.reshape(shape)
