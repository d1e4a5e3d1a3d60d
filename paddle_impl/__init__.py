"""The networks in Paddle: a function per architecture, ``load`` for a checkpoint, ``softmax``."""

from paddle_impl.checkpoint import load, load_weights
from paddle_impl.resnet import (
    MODELS,
    ResNet,
    resnet18,
    resnet18_paddleclas,
    resnet34,
    resnet34_paddleclas,
    resnet50,
    resnet101,
    resnet152,
    softmax,
)

__all__ = [
    "MODELS",
    "ResNet",
    "load",
    "load_weights",
    "resnet18",
    "resnet18_paddleclas",
    "resnet34",
    "resnet34_paddleclas",
    "resnet50",
    "resnet101",
    "resnet152",
    "softmax",
]
