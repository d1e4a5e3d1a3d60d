"""The ResNets of ``weight_port.arch`` in Paddle; the mirror of ``pytorch_impl/resnet.py``.

He et al., "Deep Residual Learning for Image Recognition" (2015), with the stride on the 3x3
convolution of a bottleneck ("v1.5", as in torchvision and PaddleClas) unless the row says
otherwise; ResNeXt, wide, vd, gated (SE), CIFAR's and the first releases' forms are rows of the same
table. A module's path with dots as underscores is the scheme's layer name: ``res2a.branch2a`` is
``res2a_branch2a``. Every parameter also carries its Paddle 1.x name: ``res2a_branch2a_weights``,
``bn2a_branch2a_scale``.
"""

from __future__ import annotations

import math

import paddle.nn.functional as F
from paddle import ParamAttr, Tensor, nn
from paddle.nn.initializer import Constant, Normal, Uniform

from paddle_impl.network import Network
from weight_port import arch


class ConvBN(nn.Layer):
    """A convolution, padded by half its kernel, then batch norm."""

    def __init__(
        self,
        name: str,
        cin: int,
        cout: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__()
        offset = ParamAttr(name=f"{name}_offset", initializer=Constant(0.0))
        # He et al., "Delving Deep into Rectifiers" (2015): variance 2 / fan-out. Paddle's own
        # KaimingNormal takes the fan-in.
        he = Normal(0.0, math.sqrt(2.0 / (cout * kernel * kernel)))
        self.conv = nn.Conv2D(
            cin,
            cout,
            kernel,
            stride,
            padding=kernel // 2,
            groups=groups,
            bias_attr=offset if bias else False,
            weight_attr=ParamAttr(name=f"{name}_weights", initializer=he),
        )
        norm = arch.batch_norm_name(name)
        self.bn = nn.BatchNorm2D(
            cout,
            epsilon=arch.BN_EPS,
            momentum=arch.BN_MOMENTUM,
            weight_attr=ParamAttr(name=f"{norm}_scale"),
            bias_attr=ParamAttr(name=f"{norm}_offset"),
        )
        self.bn._mean.name = f"{norm}_mean"
        self.bn._variance.name = f"{norm}_variance"

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class Projection(ConvBN):
    """The shortcut where channels or size change: 1x1; in a vd network a pool halves before it."""

    def __init__(self, block: arch.Block) -> None:
        stride = 1 if block.pooled else block.stride
        name = f"{block.name}_branch1"
        super().__init__(name, block.in_channels, block.out_channels, 1, stride)
        self.pooled = block.pooled

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, out, H/stride, W/stride)
        return super().forward(F.avg_pool2d(x, 2, 2, ceil_mode=True) if self.pooled else x)


class Padding(nn.Layer):
    """The shortcut without parameters: every second pixel, and channels of zeros on both sides.

    "Option A" of He et al. (2015), section 3.3, which leaves open where the zeros go.
    """

    def __init__(self, block: arch.Block) -> None:
        super().__init__()
        self.stride = block.stride
        self.zeros = (block.out_channels - block.in_channels) // 2  # on either side

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, out, H/stride, W/stride)
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, [0, 0, self.zeros, self.zeros, 0, 0, 0, 0])


class Gated(nn.Layer):
    """What basic blocks and bottlenecks share: the gate of squeeze-and-excitation, if there is one.

    Hu et al., "Squeeze-and-Excitation Networks" (2018), section 3.
    """

    def __init__(self, block: arch.Block) -> None:
        super().__init__()
        cout, hidden = block.out_channels, block.squeezed
        self.gated = hidden > 0
        if self.gated:
            name = f"fc_{block.name}"
            self.squeeze = _linear(f"{name}_sqz_weights", f"{name}_sqz_offset", cout, hidden)
            self.excitation = _linear(f"{name}_exc_weights", f"{name}_exc_offset", hidden, cout)

    def gate(self, y: Tensor) -> Tensor:
        """Every channel of (N, C, H, W) times a share of its own, by the means of all."""
        if not self.gated:
            return y
        means = y.mean(axis=(2, 3))  # (N, C)
        shares = F.sigmoid(self.excitation(F.relu(self.squeeze(means))))
        return y * shares.unsqueeze([2, 3])


def _linear(weight: str, bias: str, cin: int, cout: int) -> nn.Linear:
    """A linear layer that begins as torch's does: uniform within 1/sqrt(in), as in Paddle 1.x."""
    bound = 1.0 / math.sqrt(cin)
    uniform = Uniform(-bound, bound)
    weight_attr, bias_attr = (ParamAttr(name, uniform) for name in (weight, bias))
    return nn.Linear(cin, cout, weight_attr, bias_attr)


def _shortcut(block: arch.Block) -> nn.Layer:
    if block.padded:
        return Padding(block)
    return Projection(block) if block.projection else nn.Identity()


class BasicBlock(Gated):
    """3x3, 3x3 and the shortcut: the block of ResNet-18 and 34, and of CIFAR's 20 to 110.

    A plain network's has no shortcut.
    """

    def __init__(self, block: arch.Block) -> None:
        super().__init__(block)
        name, cin, cout = block.name, block.in_channels, block.out_channels
        first, second = block.strides
        width, bias = block.width, block.biased
        self.branch2a = ConvBN(f"{name}_branch2a", cin, width, 3, first, bias=bias)
        self.branch2b = ConvBN(f"{name}_branch2b", width, cout, 3, second, bias=bias)
        self.branch1 = _shortcut(block) if block.added else None

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, out, H/stride, W/stride)
        y = F.relu(self.branch2a(x))
        y = self.gate(self.branch2b(y))
        if self.branch1 is not None:
            y = y + self.branch1(x)
        return F.relu(y)


class Bottleneck(Gated):
    """1x1, 3x3, 1x1 and the shortcut: the block of ResNet-50, 101 and 152."""

    def __init__(self, block: arch.Block) -> None:
        super().__init__(block)
        name, cin, cout = block.name, block.in_channels, block.out_channels
        first, second = block.strides
        width, groups = block.width, block.groups
        self.branch2a = ConvBN(f"{name}_branch2a", cin, width, 1, first)
        self.branch2b = ConvBN(f"{name}_branch2b", width, width, 3, second, groups)
        self.branch2c = ConvBN(f"{name}_branch2c", width, cout, 1)
        self.branch1 = _shortcut(block)

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, 4*width, H/stride, W/stride)
        y = F.relu(self.branch2a(x))
        y = F.relu(self.branch2b(y))
        y = self.gate(self.branch2c(y))
        y = y + self.branch1(x)
        return F.relu(y)


class ResNet(Network):
    """Images (N, in_channels, H, W) to logits (N, num_classes), of the input's dtype.

    Without ``include_top``, to the feature map (N, C, ceil(H/32), ceil(W/32)), C being 512 for
    basic blocks and 2048 for bottlenecks; CIFAR's divide by 8 or, with three stages and C = 64, 4.
    ``name`` is a row of ``weight_port.arch``.
    """

    def __init__(self, name: str, num_classes: int, in_channels: int, include_top: bool) -> None:
        super().__init__(name, include_top)
        row = arch.RESNETS[name]
        make = Bottleneck if row.bottleneck else BasicBlock
        stem, blocks = arch.stem(name, in_channels), arch.blocks(name)
        self.stem_names = [conv.name for conv in stem]
        self.block_names = [block.name for block in blocks]

        for conv in stem:
            sizes = (conv.in_channels, conv.out_channels, conv.kernel, conv.stride)
            self.add_sublayer(conv.name, ConvBN(conv.name, *sizes, bias=row.biased))
        padding, ceil_mode, _ = arch.POOLS[row.pool1]
        pool = nn.MaxPool2D(3, 2, padding, ceil_mode=ceil_mode)
        self.pool1 = nn.Identity() if row.cifar else pool
        for block in blocks:
            self.add_sublayer(block.name, make(block))
        if include_top:
            self.pool5 = nn.AdaptiveAvgPool2D(1)
            self.fc = _linear("fc_0.w_0", "fc_0.b_0", blocks[-1].out_channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        for name in self.stem_names:
            x = F.relu(getattr(self, name)(x))  # at last (N, 64, H/2, W/2)
        x = self.pool1(x)  # (N, 64, H/4, W/4); CIFAR: as before, at full size
        for name in self.block_names:
            x = getattr(self, name)(x)
        if not self.include_top:
            return x  # (N, C, H/32, W/32)
        x = self.pool5(x).flatten(1)  # (N, C)
        return self.fc(x)
