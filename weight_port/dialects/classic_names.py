"""What libraries call the layers of the classic networks: a function per library and family.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from weight_port.arch.classic_rows import CLASSICS
from weight_port.arch.classic_steps import Classic
from weight_port.arch.layer import Layer

Names = Callable[[Classic, Layer], str]  # the module that holds a layer's tensors

_ALEXNET = {
    "conv1": "features.0",
    "conv2": "features.3",
    "conv3": "features.6",
    "conv4": "features.8",
    "conv5": "features.10",
    "fc6": "classifier.1",
    "fc7": "classifier.4",
    "fc8": "classifier.6",
}
_PADDLE_ALEXNET = {
    "conv1": "_conv1._conv",
    "conv2": "_conv2._conv",
    "conv3": "_conv3",
    "conv4": "_conv4",
    "conv5": "_conv5._conv",
    "fc6": "_fc6",
    "fc7": "_fc7",
    "fc8": "_fc8",
}
_BRANCHES = {
    "1x1": "branch1",
    "3x3_reduce": "branch2.0",
    "3x3": "branch2.1",
    "5x5_reduce": "branch3.0",
    "5x5": "branch3.1",
    "pool_proj": "branch4.1",
}
_STEM = {"conv1": "conv1", "conv2_reduce": "conv2", "conv2": "conv3"}


@lru_cache
def _vgg(row: Classic) -> Mapping[str, str]:
    """torchvision/models/vgg.py and paddle/vision/models/vgg.py: places in two sequences."""
    modules, place = {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}, 0
    for step in row.steps:
        if step.kind == "conv":
            modules[step.name] = f"features.{place}"
            modules[f"{step.name}_bn"] = f"features.{place + 1}"
            place += 3 if row.normed else 2  # the ReLU has a place too
        elif step.kind == "max_pool":
            place += 1
    return modules


def _inception(layer: Layer) -> str:
    """torchvision/models/googlenet.py."""
    norm = layer.kind == "batch_norm"
    name = layer.name.removesuffix("_bn") if norm else layer.name
    if layer.kind == "linear":
        return name.replace("_", ".", 1)  # aux1.fc1
    part = "bn" if norm else "conv"
    if name.startswith("inception"):
        _, block, branch = name.split("_", 2)
        return f"inception{block}.{_BRANCHES[branch]}.{part}"
    return f"{_STEM.get(name, name.replace('_', '.', 1))}.{part}"


def torchvision(row: Classic, layer: Layer) -> str:
    """torchvision/models/alexnet.py, vgg.py and googlenet.py."""
    if row.family == "googlenet":
        return _inception(layer)
    return (_ALEXNET if row.family == "alexnet" else _vgg(row))[layer.name]


def paddle_vision(row: Classic, layer: Layer) -> str:
    """paddle/vision/models/alexnet.py and vgg.py.

    Its GoogLeNet is another network: no ReLU within a block, none but after the join, no biases,
    and heads of 1152 inputs. So is its LeNet: a 3x3 first convolution, ReLU, and no activation
    between the linear layers.
    """
    return (_PADDLE_ALEXNET if row.family == "alexnet" else _vgg(row))[layer.name]


def ours(_: Classic, layer: Layer) -> str:
    """pytorch_impl and paddle_impl: the layer's module."""
    return layer.path


VGG = tuple(name for name in CLASSICS if CLASSICS[name].family == "vgg")
PADDLE_VISION = ("alexnet_owt", *VGG)
TORCHVISION = (*PADDLE_VISION, "googlenet_bn")
