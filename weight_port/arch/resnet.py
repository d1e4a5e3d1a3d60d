"""The layers of a ResNet, from its row in ``resnet_rows``; see ``arch``, which asks.

Layer and parameter names are those of the Paddle 1.x ResNets (PaddleClas
``release/static:ppcls/modeling/architectures/resnet.py``, ``resnet_vd.py``); the networks are
those of He et al., "Deep Residual Learning for Image Recognition" (2015), table 1 and section 4.2,
with the stride on the 3x3 convolution of a bottleneck ("v1.5") unless the row says otherwise.
Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

from weight_port.arch.layer import Block, Layer, Parameter
from weight_port.arch.resnet_rows import POOLS, RESNETS, Architecture


def block_letter(index: int, numbered: bool) -> str:
    """Letter of a block in its stage: a, b, c, … or, in a numbered stage, a, b1, b2, …"""
    if numbered and index:
        return f"b{index}"
    return chr(ord("a") + index)


def _row(name: str) -> Architecture:
    if name not in RESNETS:
        raise KeyError(f"unknown architecture {name!r}: one of {', '.join(RESNETS)}")
    return RESNETS[name]


@lru_cache
def blocks(name: str) -> tuple[Block, ...]:
    """The residual blocks of a ResNet, in order; raises KeyError for another network."""
    return tuple(_blocks(_row(name)))


def _blocks(row: Architecture) -> Iterator[Block]:
    expansion = 4 if row.bottleneck else 1
    in_3x3 = row.bottleneck and not row.stride_in_1x1
    position, channels = 0, row.stem_channels
    for stage, count in enumerate(row.blocks, start=2):
        base = row.channels * 2 ** (stage - 2)
        out = base * expansion
        for index in range(count):
            stride = 2 if stage > 2 and index == 0 else 1
            changes = stride != 1 or channels != out
            first = row.first_projection and position == 0
            yield Block(
                name=f"res{stage}{block_letter(index, stage in row.numbered_stages)}",
                stage=stage,
                index=index,
                position=position,
                in_channels=channels,
                width=base * row.width_per_group // 64 * row.groups,
                out_channels=out,
                stride=stride,
                projection=(changes and row.projected) or first,
                strides=(1, stride) if in_3x3 else (stride, 1),
                groups=row.groups,
                pooled=row.pooled and stride == 2,
                padded=row.shortcuts == "padded" and changes,
                added=row.shortcuts != "none" and not (row.shortcuts == "identity" and changes),
                biased=row.biased,
                squeezed=out // row.squeeze if row.squeeze else 0,
            )
            position, channels = position + 1, out


def batch_norm_name(conv: str) -> str:
    """Name of the batch norm after a convolution: "bn" + name[3:], but "bn_conv1".

    The rule makes "bnv1_1" of a vd network's "conv1_1".
    """
    return "bn_conv1" if conv == "conv1" else "bn" + conv[3:]


def _conv_bn(conv: Layer, biased: bool) -> tuple[Layer, Layer]:
    """A convolution with its weights, and the batch norm after it.

    A bias is called as in PaddleClas' release/static alexnet.py.
    """
    cout, norm = conv.out_channels, batch_norm_name(conv.name)
    shape = (cout, conv.in_channels // conv.groups, conv.kernel, conv.kernel)
    own: tuple[Parameter, ...] = (Parameter(f"{conv.name}_weights", "weight", shape),)
    if biased:
        own += (Parameter(f"{conv.name}_offset", "bias", (cout,)),)
    statistics = tuple(
        Parameter(f"{norm}_{role}", role, (cout,))
        for role in ("scale", "offset", "mean", "variance")
    )
    return (
        replace(conv, path=f"{conv.path}.conv", parameters=own),
        Layer(
            norm,
            "batch_norm",
            f"{conv.path}.bn",
            cout,
            cout,
            reduction=conv.reduction,
            block=conv.block,
            branch=conv.branch,
            parameters=statistics,
        ),
    )


def _block_convs(block: Block, bottleneck: bool) -> Iterator[tuple[str, int, int, int, int]]:
    """(branch, in, out, kernel, stride) of a block's convolutions, in execution order."""
    cin, width, cout = block.in_channels, block.width, block.out_channels
    first, second = block.strides
    if bottleneck:
        yield "branch2a", cin, width, 1, first
        yield "branch2b", width, width, 3, second
        yield "branch2c", width, cout, 1, 1
    else:
        yield "branch2a", cin, width, 3, first
        yield "branch2b", width, cout, 3, second
    if block.projection:
        yield "branch1", cin, cout, 1, 1 if block.pooled else block.stride


def _block_layers(block: Block, bottleneck: bool, reduction: int) -> Iterator[Layer]:
    """The layers of a block whose input is ``reduction`` times smaller than the image."""
    after, inner = reduction * block.stride, reduction
    last = "branch2c" if bottleneck else "branch2b"
    for branch, cin, cout, kernel, stride in _block_convs(block, bottleneck):
        inner = after if branch == "branch1" else inner * stride
        name, path = f"{block.name}_{branch}", f"{block.name}.{branch}"
        groups = block.groups if kernel == 3 else 1
        conv = Layer(name, "conv", path, cin, cout, kernel, stride, groups, inner, block, branch)
        yield from _conv_bn(conv, block.biased)
        if block.squeezed and branch == last:
            yield from _squeeze_and_excitation(block, after)
    sizes = (block.in_channels, block.out_channels)
    yield Layer(block.name, "block", block.name, *sizes, reduction=after, block=block)


def _squeeze_and_excitation(block: Block, reduction: int) -> Iterator[Layer]:
    """The two linear layers of a block's gate, which scales the channels of its branch.

    Hu et al., "Squeeze-and-Excitation Networks" (2018), section 3; names of PaddleClas
    ``release/static:ppcls/modeling/architectures/se_resnet_vd.py``.
    """
    wide, narrow = block.out_channels, block.squeezed
    steps = (
        ("squeeze", "sqz", wide, narrow, "relu"),
        ("excitation", "exc", narrow, wide, "sigmoid"),
    )
    for module, short, cin, cout, activation in steps:
        name = f"fc_{block.name}_{short}"
        yield Layer(
            name,
            "linear",
            f"{block.name}.{module}",
            cin,
            cout,
            reduction=reduction,
            block=block,
            branch=module,
            parameters=(
                Parameter(f"{name}_weights", "linear_weight", (cin, cout)),
                Parameter(f"{name}_offset", "linear_bias", (cout,)),
            ),
            activation=activation,
        )


def stem(name: str, in_channels: int = 3) -> tuple[Layer, ...]:
    """The convolutions before ``pool1``: conv1, or a deep stem's conv1_1, conv1_2 and conv1_3."""
    row = _row(name)
    if not row.deep:
        kernel, stride = (3, 1) if row.cifar else (7, 2)
        sizes = (in_channels, row.channels, kernel, stride)
        return (Layer("conv1", "conv", "conv1", *sizes, reduction=stride),)
    channels = pairwise((in_channels, *row.deep))
    return tuple(
        Layer(f"conv1_{n}", "conv", f"conv1_{n}", cin, cout, 3, 2 if n == 1 else 1, reduction=2)
        for n, (cin, cout) in enumerate(channels, start=1)
    )


def layers(
    row: Architecture, num_classes: int, in_channels: int, include_top: bool
) -> Iterator[Layer]:
    """See ``arch.layers``."""
    yield from features(row, in_channels)
    if include_top:
        yield from top(row, num_classes)


def features(row: Architecture, in_channels: int) -> Iterator[Layer]:
    """The layers up to the last feature map; each is made when it is asked for."""
    reduction = 1
    for conv in stem(row.name, in_channels):
        yield from _conv_bn(conv, row.biased)
        reduction = conv.reduction
    if not row.cifar:
        padding, ceil, _ = POOLS[row.pool1]
        reduction = 4
        sizes = (row.stem_channels, row.stem_channels, 3, 2, 1, reduction)
        yield Layer("pool1", "max_pool", "pool1", *sizes, padding=padding, ceil=ceil)
    for block in _blocks(row):
        yield from _block_layers(block, row.bottleneck, reduction)
        reduction *= block.stride


def top(row: Architecture, num_classes: int) -> tuple[Layer, Layer]:
    """What follows the last feature map: the pool and the classifier."""
    cout = row.channels * 2 ** (len(row.blocks) - 1) * (4 if row.bottleneck else 1)
    weight = Parameter("fc_0.w_0", "linear_weight", (cout, num_classes))
    bias = Parameter("fc_0.b_0", "linear_bias", (num_classes,))
    return (
        Layer("pool5", "avg_pool", "pool5", cout, cout),
        Layer("fc", "linear", "fc", cout, num_classes, parameters=(weight, bias)),
    )


def _side(pixels: int, layer: Layer, row: Architecture) -> int:
    """Height or width of a ResNet layer's output; 1 from ``pool5`` on."""
    if layer.kind in ("avg_pool", "linear"):
        return 1
    # Padding is kernel // 2, so a size n becomes ceil(n / reduction); two forms of pool1 have none.
    if layer.reduction < 4 or row.pool1 == "padded":
        return math.ceil(pixels / layer.reduction)
    halved = math.ceil(pixels / 2) - 3
    pooled = (math.ceil(halved / 2) if POOLS[row.pool1][1] else halved // 2) + 1
    return math.ceil(pooled / (layer.reduction // 4))


def sides(row: Architecture, network: tuple[Layer, ...], pixels: int) -> dict[str, tuple[int, int]]:
    """Height or width of every layer's input and output."""
    both, last = {}, pixels
    for layer in network:
        before = replace(layer, reduction=layer.reduction // layer.stride)
        entry = last if layer.kind == "avg_pool" else _side(pixels, before, row)
        last = _side(pixels, layer, row)
        both[layer.name] = (entry, last)
    return both


def receptive_fields(features: tuple[Layer, ...]) -> dict[str, int]:
    """See ``arch.receptive_fields``; of a gate of squeeze-and-excitation the field is left out."""
    fields: dict[str, int] = {}
    main = side = (1, 1)  # (field, pixels between neighbours): on the main way, on the shortcut
    block = None
    for layer in features:
        if layer.block is not block:
            block, side = layer.block, main  # both ways start where the block does
        shortcut = layer.branch == "branch1"
        field, step = side if shortcut else main
        if shortcut and block and block.pooled and layer.kind == "conv":
            field, step = field + step, 2 * step  # the 2x2 pool
        after = (field + (layer.kernel - 1) * step, layer.stride * step)
        side, main = (after, main) if shortcut else (side, after)
        fields[layer.name] = after[0]
    return fields
