"""What every network has, and the modules of a classic one, from its table; the mirror of
``paddle_impl/network.py``."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weight_port import arch
from weight_port.arch.classic_steps import LOCAL_ALPHA, LOCAL_BETA, LOCAL_SIZE
from weight_port.arch.initial import initial


class Network(nn.Module):
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
            parameter.requires_grad_(name.startswith(heads))
        self.train(self.training)

    def train(self, mode: bool = True) -> Network:
        super().train(mode)
        heads = _heads(self)
        for path, module in self.named_modules() if self.frozen else ():
            module.training = mode and (not path or path in heads)
        return self


def _heads(model: Network) -> set[str]:
    """The paths of the layers that a new number of classes replaces."""
    name = model.architecture
    return {layer.path for layer in arch.layers(name) if layer.name in arch.class_layers(name)}


Activation = Callable[[Tensor], Tensor]
ACTIVATIONS: dict[str, Activation] = {
    "relu": lambda x: F.relu(x, inplace=True),
    "sigmoid": torch.sigmoid,
}


def convolve(holder: nn.Module, name: str, x: Tensor, activation: Activation) -> Tensor:
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
            self.add_module(parent, self.part(parent))
        holder = self.get_submodule(parent)
        holder.add_module(own, build(layer, row))
        if layer.dropout:
            holder.add_module(f"{own}_drop", nn.Dropout(layer.dropout))

    def part(self, name: str) -> nn.Module:
        """What holds the layers of a block; a chain has none."""
        raise KeyError(name)

    def conv(self, name: str, x: Tensor) -> Tensor:
        """As ``convolve``, with the network's own activation."""
        return convolve(self, name, x, self.activation)

    def after(self, name: str, x: Tensor) -> Tensor:
        """A layer that only some of the family's rows have, if this one does."""
        module = getattr(self, name, None)
        return x if module is None else module(x)


def _begin(tensor: Tensor, layer: arch.Layer, row: arch.Classic, parameter: arch.Parameter) -> None:
    kind, value = initial(row.initial, layer, parameter)
    if kind == "constant":
        nn.init.constant_(tensor, value)
    elif kind == "normal":
        nn.init.normal_(tensor, 0.0, value)
    else:
        nn.init.uniform_(tensor, -value, value)


def _weighted(layer: arch.Layer, row: arch.Classic) -> nn.Module:
    """A convolution or a linear layer, as its paper begins it."""
    cin, cout, biased = layer.in_channels, layer.out_channels, len(layer.parameters) == 2
    module: nn.Module = nn.Linear(cin, cout)
    if layer.kind == "conv":
        module = nn.Conv2d(cin, cout, layer.kernel, layer.stride, layer.pad, bias=biased)
    for parameter, tensor in zip(layer.parameters, module.parameters(), strict=True):
        _begin(tensor, layer, row, parameter)
    return module


def _norm(layer: arch.Layer, row: arch.Classic) -> nn.Module:
    return nn.BatchNorm2d(layer.out_channels, row.epsilon, 1 - arch.BN_MOMENTUM)


LOCAL = (LOCAL_SIZE, LOCAL_ALPHA, LOCAL_BETA)
_BUILD: dict[str, Callable[[arch.Layer, arch.Classic], nn.Module]] = {
    "conv": _weighted,
    "linear": _weighted,
    "batch_norm": _norm,
    "max_pool": lambda x, _: nn.MaxPool2d(x.kernel, x.stride, x.pad, ceil_mode=x.ceil),
    "mean_pool": lambda x, _: nn.AvgPool2d(x.kernel, x.stride, x.pad, ceil_mode=x.ceil),
    "adaptive_pool": lambda x, _: nn.AdaptiveAvgPool2d(x.kernel),
    "avg_pool": lambda _, __: nn.AdaptiveAvgPool2d(1),
    "local_norm": lambda _, row: nn.LocalResponseNorm(*LOCAL, row.local_bias),
}


def build(layer: arch.Layer, row: arch.Classic) -> nn.Module:
    """The module of a layer."""
    return _BUILD[layer.kind](layer, row)
