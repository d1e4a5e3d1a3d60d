"""Every layer's name, size and parameters, from the one table of ``arch_rows``.

Layer and parameter names are those of the Paddle 1.x ResNets (PaddleClas
``release/static:ppcls/modeling/architectures/resnet.py``, ``resnet_vd.py``); the networks are
those of He et al., "Deep Residual Learning for Image Recognition" (2015), table 1 and section 4.2,
with the stride on the 3x3 convolution of a bottleneck ("v1.5") unless the row says otherwise.
Shapes are Paddle's: a linear weight is [in, out]. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from weight_port.arch_rows import ARCHITECTURES, POOLS, SHORTCUTS, Architecture

__all__ = [
    "ARCHITECTURES",
    "BN_EPS",
    "BN_MOMENTUM",
    "POOLS",
    "SHORTCUTS",
    "Architecture",
    "Block",
    "Layer",
    "Parameter",
    "architecture",
    "batch_norm_name",
    "block_letter",
    "blocks",
    "count_trainable",
    "layers",
    "multiply_adds",
    "output_side",
    "parameters",
    "receptive_fields",
    "stem",
]

BN_EPS = 1e-5
BN_MOMENTUM = 0.9  # in Paddle's sense: new = 0.9 * old + 0.1 * batch


@dataclass(frozen=True)
class Block:
    """One residual block: where it stands and the channels that pass through it."""

    name: str  # "res4b22"
    stage: int  # 2 to 5
    index: int  # within its stage, from 0
    position: int  # within the network, from 0
    in_channels: int
    width: int
    out_channels: int
    stride: int
    projection: bool
    strides: tuple[int, int]  # of branch2a and branch2b: one of them is ``stride``
    groups: int
    pooled: bool  # the shortcut halves by a 2x2 average pool, not by a stride
    padded: bool  # the shortcut takes every second pixel and adds channels of zeros
    added: bool  # False: there is no shortcut, and the branch is all that the block gives
    biased: bool  # its convolutions have a bias


@dataclass(frozen=True)
class Parameter:
    """One tensor: its scheme name, its role in the layer, its shape in Paddle's layout."""

    name: str  # "res2a_branch2a_weights"
    role: str  # weight, bias; scale, offset, mean, variance; linear_weight, linear_bias
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One named step of the forward pass, in execution order."""

    name: str  # "res2a_branch2a", "bn2a_branch2a", "pool1", "res2a", "fc"
    kind: str  # conv, batch_norm, max_pool, block, avg_pool or linear
    path: str  # of the module in pytorch_impl and paddle_impl: "res2a.branch2a.conv"
    in_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    reduction: int = 1  # input size over output size, from the image on
    block: Block | None = field(default=None, repr=False)
    branch: str = ""  # "branch2a" within its block
    parameters: tuple[Parameter, ...] = ()


def architecture(name: str) -> Architecture:
    """The row called ``name``; raises KeyError that lists the rows there are."""
    if name not in ARCHITECTURES:
        raise KeyError(f"unknown architecture {name!r}: one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def block_letter(index: int, numbered: bool) -> str:
    """Letter of a block in its stage: a, b, c, … or, in a numbered stage, a, b1, b2, …"""
    if numbered and index:
        return f"b{index}"
    return chr(ord("a") + index)


@lru_cache
def blocks(name: str) -> tuple[Block, ...]:
    """The residual blocks of an architecture, in order."""
    row = architecture(name)
    expansion = 4 if row.bottleneck else 1
    in_3x3 = row.bottleneck and not row.stride_in_1x1
    found: list[Block] = []
    channels = row.channels
    for stage, count in enumerate(row.blocks, start=2):
        base = row.channels * 2 ** (stage - 2)
        out = base * expansion
        for index in range(count):
            stride = 2 if stage > 2 and index == 0 else 1
            changes = stride != 1 or channels != out
            found.append(
                Block(
                    name=f"res{stage}{block_letter(index, stage in row.numbered_stages)}",
                    stage=stage,
                    index=index,
                    position=len(found),
                    in_channels=channels,
                    width=base * row.width_per_group // 64 * row.groups,
                    out_channels=out,
                    stride=stride,
                    projection=(changes and row.projected) or (row.first_projection and not found),
                    strides=(1, stride) if in_3x3 else (stride, 1),
                    groups=row.groups,
                    pooled=row.vd and stride == 2,
                    padded=row.shortcuts == "padded" and changes,
                    added=row.shortcuts != "none" and not (row.shortcuts == "identity" and changes),
                    biased=row.biased,
                )
            )
            channels = out
    return tuple(found)


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
    for branch, cin, cout, kernel, stride in _block_convs(block, bottleneck):
        inner = after if branch == "branch1" else inner * stride
        name, path = f"{block.name}_{branch}", f"{block.name}.{branch}"
        groups = block.groups if kernel == 3 else 1
        conv = Layer(name, "conv", path, cin, cout, kernel, stride, groups, inner, block, branch)
        yield from _conv_bn(conv, block.biased)
    sizes = (block.in_channels, block.out_channels)
    yield Layer(block.name, "block", block.name, *sizes, reduction=after, block=block)


def stem(name: str, in_channels: int = 3) -> tuple[Layer, ...]:
    """The convolutions before ``pool1``: conv1, or conv1_1, conv1_2 and conv1_3 of a vd network."""
    row = architecture(name)
    if not row.vd:
        kernel, stride = (3, 1) if row.cifar else (7, 2)
        sizes = (in_channels, row.channels, kernel, stride)
        return (Layer("conv1", "conv", "conv1", *sizes, reduction=stride),)
    channels = ((in_channels, 32), (32, 32), (32, 64))
    return tuple(
        Layer(f"conv1_{n}", "conv", f"conv1_{n}", cin, cout, 3, 2 if n == 1 else 1, reduction=2)
        for n, (cin, cout) in enumerate(channels, start=1)
    )


@lru_cache
def layers(
    name: str, num_classes: int | None = None, in_channels: int = 3, include_top: bool = True
) -> tuple[Layer, ...]:
    """Every named layer of an architecture, in execution order.

    There are as many classes as the row says (1000, or CIFAR's 10) where ``num_classes`` is not
    given. ``include_top=False`` ends at the last block's feature map. Raises KeyError for a name
    that is not in the table.
    """
    row = architecture(name)
    classes = row.classes if num_classes is None else num_classes
    found = [layer for conv in stem(name, in_channels) for layer in _conv_bn(conv, row.biased)]
    if not row.cifar:
        found.append(Layer("pool1", "max_pool", "pool1", 64, 64, 3, 2, reduction=4))
    for block in blocks(name):
        found += _block_layers(block, row.bottleneck, found[-1].reduction)
    if include_top:
        cout = found[-1].out_channels
        weight = Parameter("fc_0.w_0", "linear_weight", (cout, classes))
        bias = Parameter("fc_0.b_0", "linear_bias", (classes,))
        found.append(Layer("pool5", "avg_pool", "pool5", cout, cout))
        found.append(Layer("fc", "linear", "fc", cout, classes, parameters=(weight, bias)))
    return tuple(found)


def parameters(
    name: str, num_classes: int | None = None, in_channels: int = 3, include_top: bool = True
) -> tuple[Parameter, ...]:
    """Every tensor of an architecture, in the order of ``layers``."""
    found = layers(name, num_classes, in_channels, include_top)
    return tuple(parameter for layer in found for parameter in layer.parameters)


def count_trainable(tensors: tuple[Parameter, ...]) -> int:
    """Trainable values: all but the batch norms' running mean and variance."""
    return sum(math.prod(p.shape) for p in tensors if p.role not in ("mean", "variance"))


def output_side(pixels: int, layer: Layer, row: Architecture) -> int:
    """Height or width of a layer's output for an image of ``pixels``; 1 from ``pool5`` on."""
    if layer.kind in ("avg_pool", "linear"):
        return 1
    # Padding is kernel // 2, so a size n becomes ceil(n / reduction); two forms of pool1 have none.
    if layer.reduction < 4 or row.pool1 == "padded":
        return math.ceil(pixels / layer.reduction)
    halved = math.ceil(pixels / 2) - 3
    pooled = (math.ceil(halved / 2) if POOLS[row.pool1][1] else halved // 2) + 1
    return math.ceil(pooled / (layer.reduction // 4))


def receptive_fields(name: str) -> dict[str, int]:
    """Of every layer up to the last block: on how many pixels of the image, in height or width,
    a value of its output depends. A block's is that of its longer way.

    Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks" (2019), eq. 2.
    """
    found: dict[str, int] = {}
    main = side = (1, 1)  # (field, pixels between neighbours): on the main way, on the shortcut
    block = None
    for layer in layers(name, include_top=False):
        if layer.block is not block:
            block, side = layer.block, main  # both ways start where the block does
        shortcut = layer.branch == "branch1"
        field, step = side if shortcut else main
        if shortcut and block and block.pooled and layer.kind == "conv":
            field, step = field + step, 2 * step  # the 2x2 pool
        after = (field + (layer.kernel - 1) * step, layer.stride * step)
        side, main = (after, main) if shortcut else (side, after)
        found[layer.name] = after[0]
    return found


def multiply_adds(name: str, height: int | None = None, width: int | None = None) -> int:
    """Multiply-adds of one image's forward pass: convolutions and the classifier.

    The convention of the field's "GMACs" (4.09 for ResNet-50 at 224x224); FLOPs are twice that.
    The sides are those of the images that the network was made for where they are not given.
    """
    total, row = 0, architecture(name)
    height, width = height or row.size, width or row.size
    for layer in layers(name):
        if layer.kind in ("conv", "linear"):
            area = output_side(height, layer, row) * output_side(width, layer, row)
            total += math.prod(layer.parameters[0].shape) * area
    return total
