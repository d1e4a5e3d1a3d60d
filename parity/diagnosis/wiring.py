"""The wiring of a network: which outputs each layer takes, and what it computes from them.

Names are those of ``weight_port.arch``; "images" stands for the network's input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from parity.diagnosis import kernels
from weight_port import arch

Array = np.ndarray


@dataclass(frozen=True)
class Feed:
    """Where a layer's input comes from."""

    sources: tuple[str, ...]  # a block's: the branch, the shortcut and the gate if there are any
    activation: str = ""  # between the source and the layer: relu or sigmoid
    pooled: bool = False  # a 2x2 average pool in between: the shortcut of a vd network
    averaged: bool = False  # all pixels averaged in between: the gate's first layer


def _block_feeds(block: arch.Block, bottleneck: bool, entry: str) -> Iterator[tuple[str, Feed]]:
    branches = ("branch2a", "branch2b", "branch2c") if bottleneck else ("branch2a", "branch2b")
    feed = Feed((entry,))
    for branch in branches:
        conv = f"{block.name}_{branch}"
        yield conv, feed
        yield arch.batch_norm_name(conv), Feed((conv,))
        feed = Feed((arch.batch_norm_name(conv),), "relu")
    shortcut, last = entry, feed.sources[0]
    if block.projection:
        conv = f"{block.name}_branch1"
        shortcut = arch.batch_norm_name(conv)
        yield conv, Feed((entry,), pooled=block.pooled)
        yield shortcut, Feed((conv,))
    squeeze, excitation = f"fc_{block.name}_sqz", f"fc_{block.name}_exc"
    if block.squeezed:
        yield squeeze, Feed((last,), averaged=True)
        yield excitation, Feed((squeeze,), "relu")
    gate = (excitation,) if block.squeezed else ()
    yield block.name, Feed((last, shortcut, *gate) if block.added else (last,))


def _classic_feeds(name: str) -> dict[str, Feed]:
    layers = {layer.name: layer for layer in arch.layers(name)}
    by_layer = {}
    for layer in layers.values():
        first = layer.sources[0]
        activation = layers[first].activation if first in layers else ""
        by_layer[layer.name] = Feed(layer.sources, activation)
    last = next(layer for layer in reversed(layers.values()) if not layer.head)
    return {**by_layer, "logits": Feed((last.name,))}


@lru_cache
def feeds(name: str) -> Mapping[str, Feed]:
    """The feed of every layer of an architecture, by layer name."""
    if name in arch.CLASSICS:
        return _classic_feeds(name)
    by_layer: dict[str, Feed] = {}
    feed = Feed(("images",))
    for conv in arch.stem(name):
        by_layer[conv.name] = feed
        by_layer[arch.batch_norm_name(conv.name)] = Feed((conv.name,))
        feed = Feed((arch.batch_norm_name(conv.name),), "relu")
    by_layer["pool1"] = feed
    entry = "pool1"
    for block in arch.blocks(name):
        by_layer |= _block_feeds(block, arch.architecture(name).bottleneck, entry)
        entry = block.name
    return {**by_layer, "pool5": Feed((entry,)), "fc": Feed(("pool5",)), "logits": Feed(("fc",))}


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "": lambda x: x,
    "relu": kernels.relu,
    "sigmoid": kernels.sigmoid,
}


def prepare(feed: Feed, sources: Sequence[Array]) -> tuple[Array, ...]:
    """The sources' outputs as the layer takes them."""
    activate = ACTIVATIONS[feed.activation]
    inputs = tuple(activate(x) for x in sources)
    if feed.averaged:
        return tuple(x.mean(axis=(2, 3)) for x in inputs)
    if feed.pooled:
        return tuple(kernels.average_pool(x, 2, 2, ceil_mode=True) for x in inputs)
    return inputs


@dataclass(frozen=True)
class Step:
    """A layer that can be computed: its row, its parameters by role, what its kind needs."""

    layer: arch.Layer
    parameters: Mapping[str, Array]
    epsilon: float
    local_bias: float = 2.0  # of a local response normalisation


def _pool(step: Step, inputs: Sequence[Array]) -> Array:
    layer = step.layer
    pool = kernels.max_pool if layer.kind == "max_pool" else kernels.average_pool
    return pool(inputs[0], layer.kernel, layer.stride, (layer.pad, layer.pad), layer.ceil)


def _conv(step: Step, inputs: Sequence[Array]) -> Array:
    return convolve(step, inputs[0], stride=step.layer.stride)


def convolve(
    step: Step,
    x: Array,
    weight: Array | None = None,
    stride: int = 1,
    padding: kernels.Padding | None = None,
) -> Array:
    """The convolution, with its bias if it has one; ``weight`` in place of its own."""
    weight = step.parameters["weight"] if weight is None else weight
    padding = (step.layer.pad, step.layer.pad) if padding is None else padding
    products = kernels.conv(x, weight, stride, padding, step.layer.groups)
    bias = step.parameters.get("bias")
    return products if bias is None else products + kernels.per_channel(bias)


def _linear(step: Step, inputs: Sequence[Array]) -> Array:
    weight, bias = (step.parameters[f"linear_{role}"] for role in ("weight", "bias"))
    return kernels.linear(inputs[0], weight, bias)


def _block(_: Step, inputs: Sequence[Array]) -> Array:
    """ReLU of the branch, scaled by the gate if there is one, and the shortcut if there is one."""
    branch, *others = inputs
    if len(others) == 2:
        branch = branch * kernels.sigmoid(others[1])[:, :, None, None]
    return kernels.relu(branch + others[0] if others else branch)


KINDS: dict[str, Callable[[Step, Sequence[Array]], Array]] = {
    "conv": _conv,
    "batch_norm": lambda step, xs: kernels.batch_norm(
        xs[0], **step.parameters, epsilon=step.epsilon
    ),
    "max_pool": _pool,
    "mean_pool": _pool,
    "adaptive_pool": lambda step, xs: kernels.adaptive_pool(xs[0], step.layer.kernel),
    "local_norm": lambda step, xs: kernels.local_norm(xs[0], bias=step.local_bias),
    "concat": lambda _, xs: np.concatenate(xs, axis=1),
    "block": _block,
    "avg_pool": lambda _, xs: xs[0].mean(axis=(2, 3), keepdims=True),
    "linear": _linear,
    "logits": lambda _, xs: xs[0].reshape(len(xs[0]), -1),
}
LOGITS = arch.Layer("logits", "logits", "", 0, 0)


def step(name: str, layer: arch.Layer, weights: Mapping[str, Array], epsilon: float) -> Step:
    """The layer with its parameters in float64; raises KeyError for one that is missing."""
    parameters = {p.role: np.asarray(weights[p.name], dtype=np.float64) for p in layer.parameters}
    row = arch.architecture(name)
    bias = row.local_bias if isinstance(row, arch.Classic) else 2.0
    return Step(layer, parameters, epsilon, bias)


def compute(step: Step, inputs: Sequence[Array]) -> Array:
    """The layer's output for prepared inputs."""
    return KINDS[step.layer.kind](step, inputs)
