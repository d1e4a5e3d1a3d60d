"""The layers of a classic network, from its row in ``classic_rows``; see ``arch``, which asks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from weight_port.arch.classic_steps import CLASSES, HIDDEN, Classic, Step
from weight_port.arch.layer import Layer, Parameter


class Sizes(NamedTuple):
    """What a row leaves open, and what is asked for."""

    num_classes: int
    in_channels: int
    include_top: bool
    hidden: int  # channels of the classifier's hidden layers


def _parameters(row: Classic, step: Step, cin: int, cout: int) -> tuple[Parameter, ...]:
    """Named as in PaddleClas' release/static alexnet.py and vgg.py: _weights and _offset."""
    if step.kind not in ("conv", "linear"):
        return ()
    linear = step.kind == "linear"
    shape = (cin, cout) if linear else (cout, cin, step.kernel, step.kernel)
    prefix = "linear_" if linear else ""
    weight = Parameter(f"{step.name}_weights", f"{prefix}weight", shape)
    bias = Parameter(f"{step.name}_offset", f"{prefix}bias", (cout,))
    return (weight, bias) if linear or row.biased else (weight,)


def _norm(row: Classic, conv: Layer) -> Layer:
    """The batch norm of a convolution; the activation follows it."""
    name, cout = f"{conv.name}_bn", conv.out_channels
    roles = ("scale", "offset", "mean", "variance")
    parameters = tuple(Parameter(f"{name}_{role}", role, (cout,)) for role in roles)
    return Layer(name, "batch_norm", f"{conv.path}_bn", cout, cout, sources=(conv.name,),
                 parameters=parameters, head=conv.head, activation=row.activation)  # fmt: skip


def layers(row: Classic, sizes: Sizes) -> Iterator[Layer]:
    """See ``arch.layers``: in execution order; an auxiliary head follows the block it looks at.

    Each is made when it is asked for.
    """
    channels = {"images": sizes.in_channels}
    pixels = {"images": row.size}
    given = {"images": "images"}  # from a step to the layer that gives its output
    open_sizes = {CLASSES: sizes.num_classes, HIDDEN: sizes.hidden}
    before = "images"
    for step in row.steps:
        sources = step.after or (before,)
        before = step.name
        if step.top and not sizes.include_top:
            continue
        cin = sum(channels[source] for source in sources)
        if step.kind == "linear":
            cin *= pixels[sources[0]] ** 2  # of the images that the row was made for
        cout = open_sizes.get(step.out, step.out) or cin
        layer = Layer(
            step.name, step.kind, step.path, cin, cout, step.kernel, step.stride,
            padding=step.padding, ceil=step.ceil, dropout=step.dropout, head=step.head,
            sources=tuple(given[source] for source in sources),
            parameters=_parameters(row, step, cin, cout),
            activation=row.activation if step.kind in ("conv", "linear") and step.active else "",
        )  # fmt: skip
        channels[step.name], given[step.name] = cout, step.name
        pixels[step.name] = output_side(pixels[sources[0]], layer)
        if step.kind == "conv" and row.normed:
            norm = _norm(row, layer)
            given[step.name] = norm.name
            yield replace(layer, activation="")
            yield norm
        else:
            yield layer


def output_side(pixels: int, layer: Layer) -> int:
    """Height or width of a layer's output, from that of its input."""
    if layer.kind in ("linear", "avg_pool"):
        return 1
    if layer.kind == "adaptive_pool":
        return layer.kernel
    if layer.kind not in ("conv", "max_pool", "mean_pool"):
        return pixels
    free = pixels + 2 * layer.pad - layer.kernel
    if free < 0:
        return 0  # nothing is left of an image that is too small
    side = (math.ceil(free / layer.stride) if layer.ceil else free // layer.stride) + 1
    # A window that would begin in the padding at the end is left out.
    return side - (layer.ceil and (side - 1) * layer.stride >= pixels + layer.pad)


def sides(network: tuple[Layer, ...], pixels: int) -> dict[str, tuple[int, int]]:
    """Height or width of every layer's input and output."""
    out = {"images": pixels}
    both = {}
    for layer in network:
        entry = out[layer.sources[0]]
        out[layer.name] = output_side(entry, layer)
        both[layer.name] = (entry, out[layer.name])
    return both


def receptive_fields(features: tuple[Layer, ...]) -> Mapping[str, int]:
    """See ``arch.receptive_fields``."""
    ways = {"images": (1, 1)}  # (field, pixels between neighbours)
    for layer in features:
        field, step = max(ways[source] for source in layer.sources)
        ways[layer.name] = (field + (layer.kernel - 1) * step, layer.stride * step)
    return {name: field for name, (field, _) in ways.items() if name != "images"}
