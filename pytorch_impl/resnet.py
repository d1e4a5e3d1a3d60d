"""The ResNets of ``weight_port.arch`` in PyTorch; the mirror of ``paddle_impl/resnet.py``.

He et al., "Deep Residual Learning for Image Recognition" (2015), with the stride on the 3x3
convolution of a bottleneck ("v1.5", as in torchvision and PaddleClas) unless the row says
otherwise; ResNeXt, wide, vd, gated (SE), CIFAR's and the first releases' forms are rows of the same
table. A module's path with dots as underscores is the scheme's layer name: ``res2a.branch2a`` is
``res2a_branch2a``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pytorch_impl.network import Network
from weight_port import arch


class ConvBN(nn.Module):
    """A convolution, padded by half its kernel, then batch norm."""

    def __init__(
        self,
        cin: int,
        cout: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            cin, cout, kernel, stride, padding=kernel // 2, groups=groups, bias=bias
        )
        self.bn = nn.BatchNorm2d(cout, eps=arch.BN_EPS, momentum=1 - arch.BN_MOMENTUM)
        # He et al., "Delving Deep into Rectifiers" (2015): variance 2 / fan-out.
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        if bias:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class Projection(ConvBN):
    """The shortcut where channels or size change: 1x1; in a vd network a pool halves before it."""

    def __init__(self, block: arch.Block) -> None:
        stride = 1 if block.pooled else block.stride
        super().__init__(block.in_channels, block.out_channels, 1, stride)
        self.pooled = block.pooled

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, out, H/stride, W/stride)
        return super().forward(F.avg_pool2d(x, 2, 2, ceil_mode=True) if self.pooled else x)


class Padding(nn.Module):
    """The shortcut without parameters: every second pixel, and channels of zeros on both sides.

    "Option A" of He et al. (2015), section 3.3, which leaves open where the zeros go.
    """

    def __init__(self, block: arch.Block) -> None:
        super().__init__()
        self.stride = block.stride
        self.zeros = (block.out_channels - block.in_channels) // 2  # on either side

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, out, H/stride, W/stride)
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, self.zeros, self.zeros))


class Gated(nn.Module):
    """What basic blocks and bottlenecks share: the gate of squeeze-and-excitation, if there is one.

    Hu et al., "Squeeze-and-Excitation Networks" (2018), section 3.
    """

    def __init__(self, block: arch.Block) -> None:
        super().__init__()
        cout, hidden = block.out_channels, block.squeezed
        self.gated = hidden > 0
        if self.gated:
            self.squeeze = nn.Linear(cout, hidden)
            self.excitation = nn.Linear(hidden, cout)

    def gate(self, y: Tensor) -> Tensor:
        """Every channel of (N, C, H, W) times a share of its own, by the means of all."""
        if not self.gated:
            return y
        means = y.mean(dim=(2, 3))  # (N, C)
        shares = torch.sigmoid(self.excitation(F.relu(self.squeeze(means))))
        return y * shares[:, :, None, None]


def _shortcut(block: arch.Block) -> nn.Module:
    if block.padded:
        return Padding(block)
    return Projection(block) if block.projection else nn.Identity()


class BasicBlock(Gated):
    """3x3, 3x3 and the shortcut: the block of ResNet-18 and 34, and of CIFAR's 20 to 110.

    A plain network's has no shortcut.
    """

    def __init__(self, block: arch.Block) -> None:
        super().__init__(block)
        cin, width, cout = block.in_channels, block.width, block.out_channels
        self.branch2a = ConvBN(cin, width, 3, block.strides[0], bias=block.biased)
        self.branch2b = ConvBN(width, cout, 3, block.strides[1], bias=block.biased)
        self.branch1 = _shortcut(block) if block.added else None

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, out, H/stride, W/stride)
        y = F.relu(self.branch2a(x), inplace=True)
        y = self.gate(self.branch2b(y))
        if self.branch1 is not None:
            y += self.branch1(x)
        return F.relu(y, inplace=True)


class Bottleneck(Gated):
    """1x1, 3x3, 1x1 and the shortcut: the block of ResNet-50, 101 and 152."""

    def __init__(self, block: arch.Block) -> None:
        super().__init__(block)
        self.branch2a = ConvBN(block.in_channels, block.width, 1, block.strides[0])
        self.branch2b = ConvBN(block.width, block.width, 3, block.strides[1], block.groups)
        self.branch2c = ConvBN(block.width, block.out_channels, 1)
        self.branch1 = _shortcut(block)

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, 4*width, H/stride, W/stride)
        y = F.relu(self.branch2a(x), inplace=True)
        y = F.relu(self.branch2b(y), inplace=True)
        y = self.gate(self.branch2c(y))
        y += self.branch1(x)
        return F.relu(y, inplace=True)


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
            self.add_module(conv.name, ConvBN(*sizes, bias=row.biased))
        padding, ceil_mode, _ = arch.POOLS[row.pool1]
        pool = nn.MaxPool2d(3, 2, padding, ceil_mode=ceil_mode)
        self.pool1 = nn.Identity() if row.cifar else pool
        for block in blocks:
            self.add_module(block.name, make(block))
        if include_top:
            self.pool5 = nn.AdaptiveAvgPool2d(1)
            # nn.Linear draws from Uniform(-1/sqrt(C), 1/sqrt(C)), as the Paddle 1.x program did.
            self.fc = nn.Linear(blocks[-1].out_channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        for name in self.stem_names:
            x = F.relu(getattr(self, name)(x), inplace=True)  # at last (N, 64, H/2, W/2)
        x = self.pool1(x)  # (N, 64, H/4, W/4); CIFAR: as before, at full size
        for name in self.block_names:
            x = getattr(self, name)(x)
        if not self.include_top:
            return x  # (N, C, H/32, W/32)
        x = self.pool5(x).flatten(1)  # (N, C)
        return self.fc(x)
