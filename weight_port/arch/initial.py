"""How the classic networks begin: the distribution of every weight and bias, as the papers say.

The ResNets' stands in their two files, since it is one rule: He et al. (2015), fan-out. Standard
library only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from weight_port.arch.layer import Layer, Parameter


class Initial(NamedTuple):
    """A distribution about zero, or a number."""

    kind: str  # normal, uniform or constant
    value: float  # the standard deviation, the bound, or the number itself


def _fans(layer: Layer) -> tuple[int, int]:
    """Products that a value of the output sums up, and values that one of the input goes into."""
    shape = layer.parameters[0].shape
    if layer.kind == "linear":
        return shape[0], shape[1]
    area = math.prod(shape[2:])
    return shape[1] * area, shape[0] * area


def _lecun(layer: Layer, _: bool) -> Initial:
    """LeCun et al. (1998), appendix A: uniform within 2.4 over the fan-in, biases too."""
    return Initial("uniform", 2.4 / _fans(layer)[0])


_BIAS_OF_ONE = ("conv2", "conv4", "conv5", "fc6", "fc7")


def _alexnet(layer: Layer, bias: bool) -> Initial:
    """Krizhevsky et al. (2012), section 5; "One weird trick" says nothing else."""
    if bias:
        return Initial("constant", float(layer.name in _BIAS_OF_ONE))
    return Initial("normal", 0.01)


def _nin(_: Layer, bias: bool) -> Initial:
    """The authors' Caffe file for ImageNet; the paper leaves it open."""
    return Initial("constant", 0.0) if bias else Initial("normal", 0.05)


def _glorot(layer: Layer, bias: bool) -> Initial:
    """Simonyan and Zisserman (2014), section 3.1, which recommends Glorot and Bengio (2010)."""
    if bias:
        return Initial("constant", 0.0)
    return Initial("uniform", math.sqrt(6 / sum(_fans(layer))))


def _caffe(layer: Layer, bias: bool) -> Initial:
    """bvlc_googlenet's train_val.prototxt: "xavier", and biases of 0.2 but for the classifiers'."""
    if bias:
        return Initial("constant", 0.0 if layer.name.endswith(("fc", "fc2")) else 0.2)
    return Initial("uniform", math.sqrt(3 / _fans(layer)[0]))


def _truncated(layer: Layer, bias: bool) -> Initial:
    """torchvision/models/googlenet.py, whose normal is cut at 200 deviations, so not at all."""
    if bias:  # of a linear layer: the framework's own
        return Initial("uniform", 1 / math.sqrt(_fans(layer)[0]))
    return Initial("normal", 0.01)


INITIAL: dict[str, Callable[[Layer, bool], Initial]] = {
    "lecun": _lecun,
    "alexnet": _alexnet,
    "nin": _nin,
    "glorot": _glorot,
    "caffe": _caffe,
    "truncated": _truncated,
}


def initial(rule: str, layer: Layer, parameter: Parameter) -> Initial:
    """What a convolution's or linear layer's parameter is drawn from."""
    return INITIAL[rule](layer, parameter.role in ("bias", "linear_bias"))
