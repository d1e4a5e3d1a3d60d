"""The networks as data: one table, and from it every layer's name, size and parameters.

Layer and parameter names are those of the Paddle 1.x ResNets (PaddleClas
``release/static:ppcls/modeling/architectures/resnet.py``); the networks are those of
He et al., "Deep Residual Learning for Image Recognition" (2015), table 1, with the stride
on the 3x3 convolution of a bottleneck ("v1.5"). Shapes are Paddle's: a linear weight is
[in, out]. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache


@dataclass(frozen=True)
class Architecture:
    """One row of the table: what tells this network from the others."""

    name: str
    bottleneck: bool  # 1x1-3x3-1x1 blocks instead of 3x3-3x3
    blocks: tuple[int, int, int, int]  # per stage, 2 to 5
    numbered_stages: tuple[int, ...] = ()  # blocks named a, b1, b2, … instead of a, b, c, …
    first_projection: bool = False  # a 1x1 shortcut in res2a although nothing changes there


ARCHITECTURES = {
    row.name: row
    for row in (
        Architecture("resnet18", False, (2, 2, 2, 2)),
        Architecture("resnet34", False, (3, 4, 6, 3)),
        Architecture("resnet50", True, (3, 4, 6, 3)),
        Architecture("resnet101", True, (3, 4, 23, 3), numbered_stages=(4,)),
        Architecture("resnet152", True, (3, 8, 36, 3), numbered_stages=(4,)),
        # PaddleClas projects in the very first basic block too: another network, with 4,224
        # trainable parameters more than torchvision's.
        Architecture("resnet18_paddleclas", False, (2, 2, 2, 2), first_projection=True),
        Architecture("resnet34_paddleclas", False, (3, 4, 6, 3), first_projection=True),
    )
}

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


@dataclass(frozen=True)
class Parameter:
    """One tensor: its scheme name, its role in the layer, its shape in Paddle's layout."""

    name: str  # "res2a_branch2a_weights"
    role: str  # weight; scale, offset, mean, variance; linear_weight, linear_bias
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
    reduction: int = 1  # input size over output size, from the image on
    block: Block | None = field(default=None, repr=False)
    branch: str = ""  # "branch2a" within its block
    parameters: tuple[Parameter, ...] = ()


def architecture(name: str) -> Architecture:
    """The row called ``name``; raises KeyError that lists the rows there are."""
    if name not in ARCHITECTURES:
        raise KeyError(f"unknown architecture {name!r}: one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def _block_letter(index: int, numbered: bool) -> str:
    """Letter of a block in its stage: a, b, c, … or, in a numbered stage, a, b1, b2, …"""
    if numbered and index:
        return f"b{index}"
    return chr(ord("a") + index)


@lru_cache
def blocks(name: str) -> tuple[Block, ...]:
    """The residual blocks of an architecture, in order."""
    row = architecture(name)
    expansion = 4 if row.bottleneck else 1
    found: list[Block] = []
    channels = 64
    for stage, count in enumerate(row.blocks, start=2):
        width = 64 * 2 ** (stage - 2)
        for index in range(count):
            stride = 2 if stage > 2 and index == 0 else 1
            out = width * expansion
            changes = stride != 1 or channels != out
            found.append(
                Block(
                    name=f"res{stage}{_block_letter(index, stage in row.numbered_stages)}",
                    stage=stage,
                    index=index,
                    position=len(found),
                    in_channels=channels,
                    width=width,
                    out_channels=out,
                    stride=stride,
                    projection=changes or (row.first_projection and not found),
                )
            )
            channels = out
    return tuple(found)


def batch_norm_name(conv: str) -> str:
    """Name of the batch norm after a convolution: "bn" + name[3:], but "bn_conv1"."""
    return "bn_conv1" if conv == "conv1" else "bn" + conv[3:]


def _conv_bn(conv: Layer) -> tuple[Layer, Layer]:
    """A convolution (without bias) with its weights, and the batch norm after it."""
    cout, norm = conv.out_channels, batch_norm_name(conv.name)
    shape = (cout, conv.in_channels, conv.kernel, conv.kernel)
    weights = Parameter(f"{conv.name}_weights", "weight", shape)
    statistics = tuple(
        Parameter(f"{norm}_{role}", role, (cout,))
        for role in ("scale", "offset", "mean", "variance")
    )
    return (
        replace(conv, path=f"{conv.path}.conv", parameters=(weights,)),
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
    cin, width, cout, stride = block.in_channels, block.width, block.out_channels, block.stride
    if bottleneck:
        yield "branch2a", cin, width, 1, 1
        yield "branch2b", width, width, 3, stride
        yield "branch2c", width, cout, 1, 1
    else:
        yield "branch2a", cin, width, 3, stride
        yield "branch2b", width, cout, 3, 1
    if block.projection:
        yield "branch1", cin, cout, 1, stride


def _block_layers(block: Block, bottleneck: bool, reduction: int) -> Iterator[Layer]:
    """The layers of a block whose input is ``reduction`` times smaller than the image."""
    after, inner = reduction * block.stride, reduction
    for branch, cin, cout, kernel, stride in _block_convs(block, bottleneck):
        inner = after if branch == "branch1" else inner * stride
        name, path = f"{block.name}_{branch}", f"{block.name}.{branch}"
        yield from _conv_bn(
            Layer(name, "conv", path, cin, cout, kernel, stride, inner, block, branch)
        )
    sizes = (block.in_channels, block.out_channels)
    yield Layer(block.name, "block", block.name, *sizes, reduction=after, block=block)


@lru_cache
def layers(
    name: str, num_classes: int = 1000, in_channels: int = 3, include_top: bool = True
) -> tuple[Layer, ...]:
    """Every named layer of an architecture, in execution order.

    ``include_top=False`` ends at the last block's feature map. Raises KeyError for a name that
    is not in the table.
    """
    row = architecture(name)
    found = list(_conv_bn(Layer("conv1", "conv", "conv1", in_channels, 64, 7, 2, 2)))
    found.append(Layer("pool1", "max_pool", "pool1", 64, 64, 3, 2, 4))
    for block in blocks(name):
        found += _block_layers(block, row.bottleneck, found[-1].reduction)
    if include_top:
        cout = found[-1].out_channels
        weight = Parameter("fc_0.w_0", "linear_weight", (cout, num_classes))
        bias = Parameter("fc_0.b_0", "linear_bias", (num_classes,))
        found.append(Layer("pool5", "avg_pool", "pool5", cout, cout))
        found.append(Layer("fc", "linear", "fc", cout, num_classes, parameters=(weight, bias)))
    return tuple(found)


def parameters(
    name: str, num_classes: int = 1000, in_channels: int = 3, include_top: bool = True
) -> tuple[Parameter, ...]:
    """Every tensor of an architecture, in the order of ``layers``."""
    found = layers(name, num_classes, in_channels, include_top)
    return tuple(parameter for layer in found for parameter in layer.parameters)


def count_trainable(tensors: tuple[Parameter, ...]) -> int:
    """Trainable values: all but the batch norms' running mean and variance."""
    return sum(math.prod(p.shape) for p in tensors if p.role not in ("mean", "variance"))


def multiply_adds(name: str, height: int = 224, width: int = 224) -> int:
    """Multiply-adds of one image's forward pass: convolutions and the classifier.

    The convention of the field's "GMACs" (4.09 for ResNet-50 at 224x224); FLOPs are twice that.
    """
    total = 0
    for layer in layers(name):
        if layer.kind == "linear":
            total += layer.in_channels * layer.out_channels
        elif layer.kind == "conv":
            # Padding is kernel // 2 everywhere, so a size n becomes ceil(n / reduction).
            pixels = math.ceil(height / layer.reduction) * math.ceil(width / layer.reduction)
            total += pixels * layer.kernel**2 * layer.in_channels * layer.out_channels
    return total
