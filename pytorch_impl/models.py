"""The networks of PyTorch by name; the mirror of ``paddle_impl/models.py``."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from pytorch_impl.alexnet import AlexNet
from pytorch_impl.googlenet import GoogLeNet
from pytorch_impl.lenet import LeNet
from pytorch_impl.network import Classic, Network
from pytorch_impl.nin import NIN
from pytorch_impl.resnet import ResNet
from pytorch_impl.vgg import VGG
from weight_port import arch


def softmax(logits: Tensor) -> Tensor:
    """Class probabilities (N, num_classes); the Paddle 1.x programs ended with this step."""
    return F.softmax(logits, dim=1)


# Of the classic networks, by their rows' family.
FAMILIES: dict[str, type[Classic]] = {
    "lenet": LeNet,
    "alexnet": AlexNet,
    "nin": NIN,
    "vgg": VGG,
    "googlenet": GoogLeNet,
}


def _resnet(name: str) -> Callable[..., Network]:
    row = arch.RESNETS[name]

    def make(
        num_classes: int = row.classes, in_channels: int = row.in_channels, include_top: bool = True
    ) -> Network:
        return ResNet(name, num_classes, in_channels, include_top)

    return make


def _classic(name: str) -> Callable[..., Network]:
    row = arch.CLASSICS[name]
    family = FAMILIES[row.family]

    def make(
        num_classes: int = row.classes,
        in_channels: int = row.in_channels,
        include_top: bool = True,
        hidden: int = row.hidden,
    ) -> Network:
        return family(name, num_classes, in_channels, include_top, hidden)

    return make


def _variant(name: str) -> Callable[..., Network]:
    """The function that makes the network of a row of ``weight_port.arch``, called as the row."""
    make = _classic(name) if name in arch.CLASSICS else _resnet(name)
    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"The network of the row {name!r}; its size: ``weight-port architectures``."
    return make


MODELS = {name: _variant(name) for name in arch.ARCHITECTURES}
