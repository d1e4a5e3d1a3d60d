"""What a forward pass must do, step by step: operations and bytes. Pure functions of the network.

Conventions, the same for every framework:

- Operations: two for each multiply-add of a convolution or the classifier, those on the padding
  too; two for each value of a batch norm in evaluation mode (scale, shift); one for each value of
  a ReLU or of a block's sum, and for each value of a pool's window. Of local response
  normalisation two for each value of its window of channels and three more: scale, root, quotient.
- Bytes are the compulsory ones: a step reads its inputs and its parameters once and writes its
  output once, each step by itself. A framework that fuses steps moves less, and can get past
  100 % of the bandwidth so counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from weight_port import arch

# Bytes of a value; under autocast, of what the convolutions read and write.
ITEM_BYTES = {"fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2, "amp-fp16": 2, "amp-bf16": 2}

KINDS = (
    "conv",
    "batch_norm",
    "relu",
    "sigmoid",
    "max_pool",
    "mean_pool",
    "adaptive_pool",
    "add",
    "concat",
    "local_norm",
    "avg_pool",
    "linear",
)
_WINDOW = 5  # channels that local response normalisation sums over


@dataclass(frozen=True)
class Step:
    """One step's operations and compulsory bytes for a batch.

    ``name`` is the scheme's of the layer that it belongs to: a ReLU has that of the batch norm or
    block before it, and a block's sum that of the block, so a name and a kind tell steps apart.
    """

    name: str
    kind: str  # of KINDS
    flops: int
    bytes: int


def step_kind(layer: arch.Layer) -> str | None:
    """Which of KINDS a layer is by itself, a ReLU after it apart.

    A block is the sum of its branch and its shortcut; None for one without a shortcut.
    """
    if layer.kind != "block":
        return layer.kind
    return "add" if layer.block is not None and layer.block.added else None


def has_relu(layer: arch.Layer, bottleneck: bool) -> bool:
    """Whether a ReLU follows: in a ResNet after a block's sum, and every batch norm but its
    branches' last."""
    if layer.sources or layer.activation:  # of a classic network, or of a gate
        return layer.activation == "relu"
    if layer.kind == "block":
        return True
    last = "branch2c" if bottleneck else "branch2b"
    return layer.kind == "batch_norm" and layer.branch not in ("branch1", last)


def _layers(model: str) -> Iterator[arch.Layer]:
    """Those that run in evaluation: all but an auxiliary classifier's."""
    return (layer for layer in arch.layers(model) if not layer.head)


def order(model: str) -> list[tuple[str, str]]:
    """(name, kind) of every step of a network, in execution order."""
    bottleneck = arch.architecture(model).bottleneck
    names = []
    for layer in _layers(model):
        if kind := step_kind(layer):
            names.append((layer.name, kind))
        if has_relu(layer, bottleneck):
            names.append((layer.name, "relu"))
    return names


def _flops(layer: arch.Layer, values_in: int, values_out: int) -> int:
    """Operations on one image, without a ReLU."""
    if layer.kind in ("conv", "linear"):
        weights = math.prod(layer.parameters[0].shape)
        return 2 * weights * (values_out // layer.out_channels)
    window = layer.kernel**2
    per_output = {
        "batch_norm": 2,
        "block": 1,
        "max_pool": window,
        "mean_pool": window,
        "local_norm": 2 * _WINDOW + 3,
        "concat": 0,
    }
    # A pool to a given size reads every value once, or some twice.
    pooled = layer.kind in ("avg_pool", "adaptive_pool")
    return max(values_in, values_out) if pooled else per_output[layer.kind] * values_out


def _of_layer(
    layer: arch.Layer, sides: tuple[int, int], batch: int, item_bytes: int, relu: bool
) -> Iterator[Step]:
    """A layer's steps; ``sides`` are the height or width of its input and output."""
    kind, (side_in, side_out) = step_kind(layer), sides
    values_out = layer.out_channels * side_out**2
    # A sum takes two tensors of the shape of its output.
    values_in = 2 * values_out if kind == "add" else layer.in_channels * side_in**2
    if kind == "linear":  # whose channels are the values of the whole map
        values_in = layer.in_channels
    parameters = sum(math.prod(parameter.shape) for parameter in layer.parameters)
    moved = item_bytes * (parameters + batch * (values_in + values_out))
    if kind:
        yield Step(layer.name, kind, batch * _flops(layer, values_in, values_out), moved)
    activation = "relu" if relu else layer.activation
    if activation:
        work, bytes_ = batch * values_out, item_bytes * batch * 2 * values_out
        yield Step(layer.name, activation, work, bytes_)


def steps(model: str, size: int, batch: int, precision: str = "fp32") -> list[Step]:
    """Every step of a network on ``batch`` square images of ``size``, in execution order.

    The pool before a vd network's projection has no name in the scheme and is not among them.
    """
    sequence: list[Step] = []
    row, sides = arch.architecture(model), arch.sides(model, size)
    for layer in _layers(model):
        relu = has_relu(layer, row.bottleneck)
        sequence += _of_layer(layer, sides[layer.name], batch, ITEM_BYTES[precision], relu)
    return sequence


def forward_bytes(model: str, size: int, batch: int, precision: str) -> int | None:
    """Compulsory bytes of a forward pass: the sum over its steps; None for a precision not here."""
    if precision not in ITEM_BYTES:
        return None
    return sum(step.bytes for step in steps(model, size, batch, precision))
