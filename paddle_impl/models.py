"""The networks of Paddle by name; the mirror of ``pytorch_impl/models.py``."""

from __future__ import annotations

from collections.abc import Callable

import paddle.nn.functional as F
from paddle import Tensor
from paddle.utils import unique_name

from paddle_impl.resnet import ResNet
from weight_port import arch


def softmax(logits: Tensor) -> Tensor:
    """Class probabilities (N, num_classes); the Paddle 1.x programs ended with this step."""
    return F.softmax(logits, axis=1)


def _variant(name: str) -> Callable[..., ResNet]:
    """The function that makes the network of a row of ``weight_port.arch``, called as the row."""
    classes = arch.architecture(name).classes

    def make(num_classes: int = classes, in_channels: int = 3, include_top: bool = True) -> ResNet:
        # Parameter names are global to a process in Paddle; the guard makes them local to this
        # model, so that a second one can be built beside it.
        with unique_name.guard():
            return ResNet(name, num_classes, in_channels, include_top)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"The network of the row {name!r}; its size: ``weight-port architectures``."
    return make


MODELS = {name: _variant(name) for name in arch.ARCHITECTURES}
