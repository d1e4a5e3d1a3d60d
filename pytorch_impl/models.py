"""The networks of PyTorch by name; the mirror of ``paddle_impl/models.py``."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from pytorch_impl.resnet import ResNet
from weight_port import arch


def softmax(logits: Tensor) -> Tensor:
    """Class probabilities (N, num_classes); the Paddle 1.x programs ended with this step."""
    return F.softmax(logits, dim=1)


def _variant(name: str) -> Callable[..., ResNet]:
    """The function that makes the network of a row of ``weight_port.arch``, called as the row."""
    classes = arch.architecture(name).classes

    def make(num_classes: int = classes, in_channels: int = 3, include_top: bool = True) -> ResNet:
        return ResNet(name, num_classes, in_channels, include_top)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"The network of the row {name!r}; its size: ``weight-port architectures``."
    return make


MODELS = {name: _variant(name) for name in arch.ARCHITECTURES}
