"""The cause of a layer that differs though its inputs are equal: settings, tensors, another kind.

The layer is recomputed from PyTorch's own inputs under one hypothesis at a time, and a cause is
named only if that gives PyTorch's output to rounding, and the layer as Paddle has it Paddle's.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from parity.comparison.known_differences import as_float32
from parity.diagnosis.view import ROUNDING, relative
from parity.pair.causes import kernels
from parity.pair.causes.tensors import how_they_differ
from parity.pair.matching import kinds

Array = np.ndarray


@dataclass(frozen=True)
class Half:
    """A layer on one side: what it is, took, gave and holds, in float64 and Paddle's layout."""

    kind: str
    name: str  # of its class
    settings: Mapping[str, Any]
    inputs: Sequence[Array]
    output: Array
    tensors: Mapping[str, Array]  # by role


class Guess(NamedTuple):
    """A cause, a sentence about it, and what it would make of PyTorch's inputs."""

    cause: str
    sentence: str
    output: Array


@dataclass(frozen=True)
class Finding:
    """A cause that reproduces PyTorch's output, and how well."""

    cause: str
    sentence: str
    difference: float
    residual: float


def computed(half: Half, inputs: Sequence[Array], **other: Any) -> Array | None:
    """What a layer gives for inputs, with some of it replaced; None where that is not known."""
    kernel = kernels.KERNELS.get(other.get("kind", half.kind))
    if kernel is None:
        return None
    tensors, settings = other.get("tensors", half.tensors), other.get("settings", half.settings)
    try:
        with np.errstate(all="ignore"):
            return kernel(inputs, tensors, settings)
    except (kernels.NotKnown, ValueError, IndexError, KeyError, TypeError, AttributeError):
        return None  # a hypothesis that does not even have a shape


def settings_that_differ(torch: Half, paddle: Half) -> dict[str, tuple[Any, Any]]:
    """By name, (PyTorch's, Paddle's); a number counts as what Paddle stores of it."""
    if torch.kind != paddle.kind:
        return {}
    pairs = {name: (torch.settings.get(name), value) for name, value in paddle.settings.items()}
    return {name: (a, b) for name, (a, b) in pairs.items() if _stored(a) != _stored(b)}


def _stored(value: Any) -> Any:
    return as_float32(value) if isinstance(value, float) else value


def normalised(kind: str, framework: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that both frameworks mean alike, by Paddle's meaning."""
    result = dict(settings)
    if kind == "batch_norm" and framework == "torch" and result.get("momentum") is not None:
        result["momentum"] = 1 - result["momentum"]
    if result.get("momentum") is not None:
        result["momentum"] = as_float32(result["momentum"])
    if kind == "avg_pool" and framework == "torch":
        result["exclusive"] = not result["exclusive"]
    if kind in ("max_pool", "avg_pool"):
        result["stride"] = result["stride"] or result["kernel"]
    if kind == "gelu":
        result["approximate"] = "tanh" if result["approximate"] in ("tanh", True) else "none"
    if "epsilon" in result:
        result["epsilon"] = as_float32(result["epsilon"])
    if kind == "embedding":
        result.pop("padding_index", None)  # of gradients alone
    return result


def find(torch: Half, paddle: Half, others: Mapping[str, Array]) -> Finding | None:
    """Why a layer differs, None where no hypothesis gives PyTorch's output.

    ``others`` are Paddle's tensors of other layers, by key.
    """
    expected = computed(paddle, paddle.inputs)
    if expected is None:
        return _untested(torch, paddle, others)
    rounding = ROUNDING["float64"]
    if relative(expected, paddle.output) > rounding:
        return None  # Paddle's own layer is not what its settings say
    plain = computed(paddle, torch.inputs)
    difference = float("inf") if plain is None else relative(plain, torch.output)
    for guess in _guesses(torch, paddle, others):
        residual = relative(guess.output, torch.output)
        if residual <= min(rounding, difference / 10):
            return Finding(guess.cause, guess.sentence, difference, residual)
    return None


def _untested(torch: Half, paddle: Half, others: Mapping[str, Array]) -> Finding | None:
    """For a kind that NumPy does not compute here: tensors that differ, if nothing else does."""
    if torch.kind != paddle.kind or settings_that_differ(torch, paddle):
        return None
    sentence = how_they_differ(torch.tensors, paddle.tensors, others, torch.kind)
    difference = relative(torch.output, paddle.output)
    return Finding("weights", sentence, difference, float("nan")) if sentence else None


def _guesses(torch: Half, paddle: Half, others: Mapping[str, Array]) -> Iterator[Guess]:
    """Hypotheses, those with nothing guessed first."""
    x = torch.inputs
    differ = settings_that_differ(torch, paddle)
    weights = how_they_differ(torch.tensors, paddle.tensors, others, paddle.kind)
    candidates: list[tuple[str, str, Array | None]] = []
    for count in range(1, len(differ) + 1):
        for names in itertools.combinations(differ, count):
            changed = {**paddle.settings, **{name: differ[name][0] for name in names}}
            words = "; ".join(_words(name, *differ[name]) for name in names)
            candidates.append((names[0], words, computed(paddle, x, settings=changed)))
            if weights:
                both = computed(paddle, x, settings=changed, tensors=torch.tensors)
                candidates.append((f"{names[0]} and weights", f"{words}; and {weights}", both))
    if weights:
        candidates.insert(0, ("weights", weights, computed(paddle, x, tensors=torch.tensors)))
    if torch.kind != paddle.kind:
        words = f"it is {_kind(torch)} in PyTorch and {_kind(paddle)} in Paddle"
        output = computed(torch, x, tensors=torch.tensors)
        candidates.append(("kind", words, output))
    candidates += list(_hidden(torch, paddle))
    for cause, sentence, output in candidates:
        if output is not None:
            yield Guess(cause, sentence, output)


def _words(name: str, torch: Any, paddle: Any) -> str:
    one, other = (f"{value:g}" if isinstance(value, float) else value for value in (torch, paddle))
    return f"its {name.replace('_', ' ')} is {one} in PyTorch and {other} in Paddle"


def _kind(half: Half) -> str:
    return half.name if half.kind == kinds.OTHER else half.kind.replace("_", " ")


EPSILONS = (1e-3, 1e-5, 1e-6, 1e-8, 1e-12, 0.0)


def _hidden(torch: Half, paddle: Half) -> Iterator[tuple[str, str, Array | None]]:
    """What no setting shows: a forward pass of the user's own, or a mode."""
    x, settings, tensors = torch.inputs, paddle.settings, paddle.tensors
    yield "skipped", "PyTorch gives its input back: the layer does not run", x[0]
    for role in ("bias", "weight"):
        if role in tensors and (role == "bias" or paddle.kind in kinds.NORMS):
            rest = {name: array for name, array in tensors.items() if name != role}
            yield (
                f"{role}_missing",
                f"PyTorch leaves the {role} out",
                computed(paddle, x, tensors=rest),
            )
    if paddle.kind == "linear" and len(set(tensors["weight"].shape)) == 1:
        turned = {**tensors, "weight": tensors["weight"].T}
        yield "weights", "PyTorch's weight is not transposed", computed(paddle, x, tensors=turned)
    if paddle.kind == "batch_norm":
        axes = tuple(axis for axis in range(x[0].ndim) if axis != 1)
        batch = {**tensors, "mean": x[0].mean(axes), "variance": x[0].var(axes)}
        yield "mode", "PyTorch takes the batch's statistics: it is in training mode", computed(
            paddle, x, tensors=batch)  # fmt: skip
    if "epsilon" in settings:
        for epsilon in EPSILONS:
            changed = {**settings, "epsilon": as_float32(epsilon)}
            words = _words("epsilon", epsilon, settings["epsilon"])
            yield "epsilon", words, computed(paddle, x, settings=changed)
    if paddle.kind in ("softmax", "log_softmax"):
        for axis in range(x[0].ndim):
            words = _words("axis", axis, settings["axis"])
            yield "axis", words, computed(paddle, x, settings={**settings, "axis": axis})
    if paddle.kind in kernels.ACTIVATIONS:
        yield from _activations(paddle, x)


def _activations(paddle: Half, x: Sequence[Array]) -> Iterator[tuple[str, str, Array | None]]:
    for name in kernels.ACTIVATIONS:
        for approximate in (False, True) if name == "gelu" else (False,):
            settings = {"approximate": approximate}
            shown = "gelu's tanh form" if approximate else name.replace("_", " ")
            words = f"PyTorch computes {shown}, Paddle {paddle.kind.replace('_', ' ')}"
            yield "kind", words, computed(paddle, x, kind=name, settings=settings)
