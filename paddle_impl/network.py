"""What every network has, and the modules of a classic one, from its table; the mirror of
``pytorch_impl/network.py``."""

from __future__ import annotations

from collections.abc import Callable

import paddle.nn.functional as F
from paddle import ParamAttr, Tensor, nn
from paddle.nn.initializer import Constant, Initializer, Normal, Uniform

from weight_port import arch
from weight_port.arch.classic_steps import LOCAL_ALPHA, LOCAL_BETA, LOCAL_SIZE
from weight_port.arch.initial import initial


class Network(nn.Layer):
    """Images to logits; without ``include_top``, to a feature map.

    ``architecture`` is the row of ``weight_port.arch``.
    """

    def __init__(self, name: str, include_top: bool) -> None:
        super().__init__()
        self.architecture = name
        self.include_top = include_top
        self.frozen = False

    def freeze(self) -> None:
        """Train the last layer alone, with an auxiliary classifier's: no gradients for the rest,
        whose statistics and dropout stay as in evaluation too."""
        self.frozen = True
        heads = tuple(f"{path}." for path in _heads(self))
        for name, parameter in self.named_parameters():
            parameter.stop_gradient = not name.startswith(heads)
        self.train() if self.training else self.eval()

    def train(self) -> None:
        super().train()
        heads = _heads(self)
        for path, module in self.named_sublayers() if self.frozen else ():
            module.training = path in heads


def _heads(model: Network) -> set[str]:
    """The paths of the layers that a new number of classes replaces."""
    name = model.architecture
    return {layer.path for layer in arch.layers(name) if layer.name in arch.class_layers(name)}


Activation = Callable[[Tensor], Tensor]
ACTIVATIONS: dict[str, Activation] = {
    "relu": F.relu,
    "sigmoid": F.sigmoid,
}


def convolve(holder: nn.Layer, name: str, x: Tensor, activation: Activation) -> Tensor:
    """A convolution of ``holder``, its batch norm if it has one, and the activation."""
    x = getattr(holder, name)(x)
    norm = getattr(holder, f"{name}_bn", None)
    return activation(x if norm is None else norm(x))


class Classic(Network):
    """A network before the ResNets: a module for every layer of its table, and one for dropout.

    Images are (N, in_channels, H, W), logits (N, num_classes), of the input's dtype. ``hidden`` is
    the width of the classifier's hidden layers, which AlexNet and VGG have.
    """

    def __init__(
        self, name: str, num_classes: int, in_channels: int, include_top: bool, hidden: int
    ) -> None:
        super().__init__(name, include_top)
        row = arch.CLASSICS[name]
        self.activation = ACTIVATIONS[row.activation]
        self.table = arch.layers(name, num_classes, in_channels, include_top, hidden)
        for layer in self.table:
            if layer.kind != "concat":  # an inception block, which holds its branches
                self._add(layer, row)

    def _add(self, layer: arch.Layer, row: arch.Classic) -> None:
        parent, _, own = layer.path.rpartition(".")
        if parent and not hasattr(self, parent):
            self.add_sublayer(parent, self.part(parent))
        holder = getattr(self, parent) if parent else self
        holder.add_sublayer(own, build(layer, row))
        if layer.dropout:
            holder.add_sublayer(f"{own}_drop", nn.Dropout(layer.dropout))

    def part(self, name: str) -> nn.Layer:
        """What holds the layers of a block; a chain has none."""
        raise KeyError(name)

    def conv(self, name: str, x: Tensor) -> Tensor:
        """As ``convolve``, with the network's own activation."""
        return convolve(self, name, x, self.activation)

    def after(self, name: str, x: Tensor) -> Tensor:
        """A layer that only some of the family's rows have, if this one does."""
        module = getattr(self, name, None)
        return x if module is None else module(x)


_INITIALIZERS: dict[str, Callable[[float], Initializer]] = {
    "constant": Constant,
    "normal": lambda deviation: Normal(0.0, deviation),
    "uniform": lambda bound: Uniform(-bound, bound),
}


def _attribute(layer: arch.Layer, row: arch.Classic, parameter: arch.Parameter) -> ParamAttr:
    kind, value = initial(row.initial, layer, parameter)
    return ParamAttr(name=parameter.name, initializer=_INITIALIZERS[kind](value))


def _weighted(layer: arch.Layer, row: arch.Classic) -> nn.Layer:
    """A convolution or a linear layer, as its paper begins it."""
    cin, cout = layer.in_channels, layer.out_channels
    weight, *bias = (_attribute(layer, row, parameter) for parameter in layer.parameters)
    attributes = {"weight_attr": weight, "bias_attr": bias[0] if bias else False}
    if layer.kind == "linear":
        return nn.Linear(cin, cout, **attributes)
    return nn.Conv2D(cin, cout, layer.kernel, layer.stride, layer.pad, **attributes)


def _norm(layer: arch.Layer, row: arch.Classic) -> nn.Layer:
    scale, offset, mean, variance = (parameter.name for parameter in layer.parameters)
    cout, momentum = layer.out_channels, arch.BN_MOMENTUM
    norm = nn.BatchNorm2D(cout, momentum, row.epsilon, ParamAttr(scale), ParamAttr(offset))
    norm._mean.name, norm._variance.name = mean, variance
    return norm


LOCAL = (LOCAL_SIZE, LOCAL_ALPHA, LOCAL_BETA)
_BUILD: dict[str, Callable[[arch.Layer, arch.Classic], nn.Layer]] = {
    "conv": _weighted,
    "linear": _weighted,
    "batch_norm": _norm,
    "max_pool": lambda x, _: nn.MaxPool2D(x.kernel, x.stride, x.pad, ceil_mode=x.ceil),
    "mean_pool": lambda x, _: nn.AvgPool2D(x.kernel, x.stride, x.pad, ceil_mode=x.ceil),
    "adaptive_pool": lambda x, _: nn.AdaptiveAvgPool2D(x.kernel),
    "avg_pool": lambda _, __: nn.AdaptiveAvgPool2D(1),
    "local_norm": lambda _, row: nn.LocalResponseNorm(*LOCAL, row.local_bias),
}


def build(layer: arch.Layer, row: arch.Classic) -> nn.Layer:
    """The module of a layer."""
    return _BUILD[layer.kind](layer, row)
