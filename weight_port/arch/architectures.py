"""Every layer's name, size and parameters, from the tables of ``resnet_rows`` and ``classic_rows``.

A ResNet's layers are made in ``resnet``, a classic network's in ``classic``. Shapes are Paddle's:
a linear weight is [in, out]. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice, takewhile
from typing import TypedDict

from weight_port.arch import classic, resnet
from weight_port.arch.classic_rows import CLASSICS
from weight_port.arch.classic_steps import Classic
from weight_port.arch.layer import Layer, Parameter
from weight_port.arch.resnet_rows import RESNETS, Architecture

Row = Architecture | Classic


class Sizes(TypedDict):
    """What a row leaves open, and a set of tensors shows."""

    num_classes: int
    in_channels: int
    hidden: int  # width of the classifier's hidden layers; 0: it has none


ARCHITECTURES: dict[str, Row] = {**RESNETS, **CLASSICS}

BN_EPS = 1e-5  # but for googlenet_bn: a row's epsilon
BN_MOMENTUM = 0.9  # in Paddle's sense: new = 0.9 * old + 0.1 * batch


def architecture(name: str) -> Row:
    """The row called ``name``; raises KeyError that lists the rows there are."""
    if name not in ARCHITECTURES:
        raise KeyError(f"unknown architecture {name!r}: one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def layers(
    name: str,
    num_classes: int | None = None,
    in_channels: int | None = None,
    include_top: bool = True,
    hidden: int | None = None,
) -> tuple[Layer, ...]:
    """Every named layer of an architecture, in execution order.

    There are as many classes as the row says (1000, or CIFAR's 10) where ``num_classes`` is not
    given, and so with channels and with the width of the classifier's ``hidden`` layers, which
    AlexNet and VGG have. ``include_top=False`` ends at the last feature map. Raises KeyError for a
    name that is not in the table.
    """
    sizes = sizes_of(name, num_classes, in_channels, hidden)
    return _layers(name, include_top, **sizes)


def sizes_of(
    name: str,
    num_classes: int | None = None,
    in_channels: int | None = None,
    hidden: int | None = None,
) -> Sizes:
    """What is given and, for what is not, what the row says."""
    row = architecture(name)
    return Sizes(
        num_classes=row.classes if num_classes is None else num_classes,
        in_channels=row.in_channels if in_channels is None else in_channels,
        hidden=row.hidden if hidden is None else hidden,
    )


@lru_cache(maxsize=512)
def _layers(
    name: str, include_top: bool, num_classes: int, in_channels: int, hidden: int
) -> tuple[Layer, ...]:
    row = architecture(name)
    if isinstance(row, Classic):
        sizes = classic.Sizes(num_classes, in_channels, include_top, hidden)
        return tuple(classic.layers(row, sizes))
    return tuple(resnet.layers(row, num_classes, in_channels, include_top))


@lru_cache(maxsize=512)
def first_layers(name: str, in_channels: int | None = None) -> tuple[Layer, ...]:
    """A ResNet's layers up to the end of its first block, a classic network's first two.

    No others are made, so that many networks are soon told apart.
    """
    row, channels = architecture(name), sizes_of(name, in_channels=in_channels)["in_channels"]
    if isinstance(row, Classic):
        sizes = classic.Sizes(row.classes, channels, False, row.hidden)
        return tuple(islice(classic.layers(row, sizes), 2))
    features = resnet.features(row, channels)
    return tuple(takewhile(lambda layer: not layer.block or not layer.block.position, features))


def open_layers(name: str) -> tuple[Layer, ...]:
    """The layers whose sizes the row leaves open: the first, and those of the classifier."""
    row = architecture(name)
    if isinstance(row, Classic):
        first, *rest = layers(name)
        return (first, *(x for x in rest if x.kind == "linear" or x.name in row.class_layers))
    return (next(resnet.features(row, row.in_channels)), *resnet.top(row, row.classes))


def top_layers(name: str) -> frozenset[str]:
    """The layers that ``include_top=False`` leaves out."""
    return architecture(name).top_layers


def part(name: str, layer: Layer) -> str:
    """Where in the network a layer stands: "stem", "stage 2", "inception 3a", "classifier", …"""
    if layer.name in top_layers(name):
        return layer.head or "classifier"
    if layer.block:
        return f"stage {layer.block.stage}"
    if layer.name.startswith("inception"):
        return " ".join(layer.name.split("_")[:2])
    return "features" if name in CLASSICS else "stem"


def class_layers(name: str) -> frozenset[str]:
    """The layers whose size is the number of classes: what a new classifier replaces."""
    return architecture(name).class_layers


def parameters(
    name: str,
    num_classes: int | None = None,
    in_channels: int | None = None,
    include_top: bool = True,
    hidden: int | None = None,
) -> tuple[Parameter, ...]:
    """Every tensor of an architecture, in the order of ``layers``."""
    network = layers(name, num_classes, in_channels, include_top, hidden)
    return tuple(parameter for layer in network for parameter in layer.parameters)


def count_trainable(tensors: tuple[Parameter, ...]) -> int:
    """Trainable values: all but the batch norms' running mean and variance."""
    return sum(math.prod(p.shape) for p in tensors if p.role not in ("mean", "variance"))


def sides(name: str, pixels: int) -> Mapping[str, tuple[int, int]]:
    """Height or width of every layer's input and output, for an image of ``pixels``."""
    row, found = architecture(name), layers(name)
    if isinstance(row, Classic):
        return classic.sides(found, pixels)
    return resnet.sides(row, found, pixels)


def receptive_fields(name: str) -> Mapping[str, int]:
    """Of every layer up to the last feature map: on how many pixels of the image, in height or
    width, a value of its output depends. A block's is that of its longest way.

    Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks" (2019), eq. 2.
    """
    features = layers(name, include_top=False)
    if name in CLASSICS:
        return classic.receptive_fields(features)
    return resnet.receptive_fields(features)


def multiply_adds(name: str, height: int | None = None, width: int | None = None) -> int:
    """Multiply-adds of one image's forward pass: convolutions and the classifier.

    The convention of the field's "GMACs" (4.09 for ResNet-50 at 224x224); FLOPs are twice that.
    The sides are those of the images that the network was made for where they are not given.
    """
    row = architecture(name)
    across, down = sides(name, width or row.size), sides(name, height or row.size)
    total = 0
    for layer in layers(name):
        if layer.kind in ("conv", "linear") and not layer.head:
            area = down[layer.name][1] * across[layer.name][1]
            total += math.prod(layer.parameters[0].shape) * area
    return total
