"""Which outputs a layer takes and what it makes of them: the forward pass as data, in NumPy.

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

    sources: tuple[str, ...]  # a block's: the branch, then the shortcut if there is one
    relu: bool = False  # between the source and the layer
    pooled: bool = False  # a 2x2 average pool in between: the shortcut of a vd network


def _block_feeds(block: arch.Block, bottleneck: bool, entry: str) -> Iterator[tuple[str, Feed]]:
    branches = ("branch2a", "branch2b", "branch2c") if bottleneck else ("branch2a", "branch2b")
    feed = Feed((entry,))
    for branch in branches:
        conv = f"{block.name}_{branch}"
        yield conv, feed
        yield arch.batch_norm_name(conv), Feed((conv,))
        feed = Feed((arch.batch_norm_name(conv),), relu=True)
    shortcut, last = entry, feed.sources[0]
    if block.projection:
        conv = f"{block.name}_branch1"
        shortcut = arch.batch_norm_name(conv)
        yield conv, Feed((entry,), pooled=block.pooled)
        yield shortcut, Feed((conv,))
    yield block.name, Feed((last, shortcut) if block.added else (last,))


@lru_cache
def feeds(name: str) -> Mapping[str, Feed]:
    """The feed of every layer of an architecture, by layer name."""
    found: dict[str, Feed] = {}
    feed = Feed(("images",))
    for conv in arch.stem(name):
        found[conv.name] = feed
        found[arch.batch_norm_name(conv.name)] = Feed((conv.name,))
        feed = Feed((arch.batch_norm_name(conv.name),), relu=True)
    found["pool1"] = feed
    entry = "pool1"
    for block in arch.blocks(name):
        found |= _block_feeds(block, arch.architecture(name).bottleneck, entry)
        entry = block.name
    return {**found, "pool5": Feed((entry,)), "fc": Feed(("pool5",)), "logits": Feed(("fc",))}


def prepare(feed: Feed, sources: Sequence[Array]) -> tuple[Array, ...]:
    """The sources' outputs as the layer takes them."""
    found = tuple(kernels.relu(x) for x in sources) if feed.relu else tuple(sources)
    if feed.pooled:
        return tuple(kernels.average_pool(x, 2, 2, ceil_mode=True) for x in found)
    return found


@dataclass(frozen=True)
class Step:
    """A layer that can be computed: its row, its parameters by role, what its kind needs."""

    layer: arch.Layer
    parameters: Mapping[str, Array]
    epsilon: float
    pool1: str  # a key of arch.POOLS


def _pool1(step: Step, inputs: Sequence[Array]) -> Array:
    padding, ceil_mode, _ = arch.POOLS[step.pool1]
    return kernels.max_pool(inputs[0], padding=(padding, padding), ceil_mode=ceil_mode)


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
    found = kernels.conv(x, weight, stride, padding, step.layer.groups)
    bias = step.parameters.get("bias")
    return found if bias is None else found + kernels.per_channel(bias)


def _linear(step: Step, inputs: Sequence[Array]) -> Array:
    weight, bias = (step.parameters[f"linear_{role}"] for role in ("weight", "bias"))
    return kernels.linear(inputs[0], weight, bias)


KINDS: dict[str, Callable[[Step, Sequence[Array]], Array]] = {
    "conv": _conv,
    "batch_norm": lambda step, xs: kernels.batch_norm(
        xs[0], **step.parameters, epsilon=step.epsilon
    ),
    "max_pool": _pool1,
    "block": lambda _, xs: kernels.relu(xs[0] + xs[1] if len(xs) == 2 else xs[0]),
    "avg_pool": lambda _, xs: xs[0].mean(axis=(2, 3), keepdims=True),
    "linear": _linear,
    "logits": lambda _, xs: xs[0],
}
LOGITS = arch.Layer("logits", "logits", "", 0, 0)


def step(name: str, layer: arch.Layer, weights: Mapping[str, Array], epsilon: float) -> Step:
    """The layer with its parameters in float64; raises KeyError for one that is missing."""
    found = {p.role: np.asarray(weights[p.name], dtype=np.float64) for p in layer.parameters}
    return Step(layer, found, epsilon, arch.architecture(name).pool1)


def compute(step: Step, inputs: Sequence[Array]) -> Array:
    """The layer's output for prepared inputs."""
    return KINDS[step.layer.kind](step, inputs)
