"""The networks of Paddle by name; the mirror of ``pytorch_impl/models.py``."""

from __future__ import annotations

from collections.abc import Callable

import paddle.nn.functional as F
from paddle import Tensor
from paddle.utils import unique_name

from paddle_impl.alexnet import AlexNet
from paddle_impl.googlenet import GoogLeNet
from paddle_impl.lenet import LeNet
from paddle_impl.network import Classic, Network
from paddle_impl.nin import NIN
from paddle_impl.resnet import ResNet
from paddle_impl.vgg import VGG
from weight_port import arch


def softmax(logits: Tensor) -> Tensor:
    """Class probabilities (N, num_classes); the Paddle 1.x programs ended with this step."""
    return F.softmax(logits, axis=1)


# Of the classic networks, by their rows' family.
FAMILIES: dict[str, type[Classic]] = {
    "lenet": LeNet,
    "alexnet": AlexNet,
    "nin": NIN,
    "vgg": VGG,
    "googlenet": GoogLeNet,
}


# Parameter names are global to a process in Paddle; a guard makes them local to a model, so that a
# second one can be built beside it.


def _resnet(name: str) -> Callable[..., Network]:
    row = arch.RESNETS[name]

    def make(
        num_classes: int = row.classes, in_channels: int = row.in_channels, include_top: bool = True
    ) -> Network:
        with unique_name.guard():
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
        with unique_name.guard():
            return family(name, num_classes, in_channels, include_top, hidden)

    return make


def _variant(name: str) -> Callable[..., Network]:
    """The function that makes the network of a row of ``weight_port.arch``, called as the row."""
    make = _classic(name) if name in arch.CLASSICS else _resnet(name)
    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"The network of the row {name!r}; its size: ``weight-port architectures``."
    return make


MODELS = {name: _variant(name) for name in arch.ARCHITECTURES}
