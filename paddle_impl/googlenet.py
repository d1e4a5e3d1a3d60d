"""GoogLeNet in Paddle; the mirror of ``pytorch_impl/googlenet.py``.

Szegedy et al., "Going Deeper with Convolutions" (2014), table 1 and section 5; ``googlenet_bn`` is
torchvision's, with batch norms and a 3x3 for the 5x5.
"""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from paddle_impl.network import ACTIVATIONS, Classic, convolve


class Inception(nn.Layer):
    """Four branches side by side, joined."""

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, sum of the branches, H, W)
        one = self.conv("1x1", x)
        three = self.conv("3x3", self.conv("3x3_reduce", x))
        five = self.conv("5x5", self.conv("5x5_reduce", x))
        pooled = self.conv("pool_proj", self.pool(x))
        return paddle.concat((one, three, five, pooled), axis=1)

    def conv(self, name: str, x: Tensor) -> Tensor:
        return convolve(self, name, x, ACTIVATIONS["relu"])


class Auxiliary(nn.Layer):
    """The classifier beside a block, in training alone."""

    def forward(self, x: Tensor) -> Tensor:  # (N, in, 14, 14) -> (N, num_classes)
        x = convolve(self, "conv", self.pool(x), ACTIVATIONS["relu"])  # (N, 128, 4, 4)
        x = self.fc1_drop(F.relu(self.fc1(x.flatten(1))))  # (N, 1024)
        return self.fc2(x)


Outputs = Tensor | tuple[Tensor, Tensor, Tensor]


class GoogLeNet(Classic):
    """Images (N, 3, H, W), of 224 pixels in training, to logits; without ``include_top``, to maps.

    In training to three tensors of logits: the network's, aux1's and aux2's. The paper adds the
    others' losses with a weight of 0.3 each.
    """

    def part(self, name: str) -> nn.Layer:
        """See ``Classic``."""
        return Inception() if name.startswith("inception") else Auxiliary()

    def forward(self, x: Tensor) -> Outputs:
        training = self.training and self.include_top
        x = self.after("norm1", self.pool1(self.conv("conv1", x)))  # (N, 64, 56, 56)
        x = self.conv("conv2", self.conv("conv2_reduce", x))
        x = self.pool2(self.after("norm2", x))  # (N, 192, 28, 28)
        x = self.pool3(self.inception_3b(self.inception_3a(x)))  # (N, 480, 14, 14)
        x = self.inception_4a(x)
        first = self.aux1(x) if training else x
        x = self.inception_4d(self.inception_4c(self.inception_4b(x)))  # (N, 528, 14, 14)
        second = self.aux2(x) if training else x
        x = self.pool4(self.inception_4e(x))  # (N, 832, 7, 7)
        x = self.inception_5b(self.inception_5a(x))  # (N, 1024, 7, 7)
        if not self.include_top:
            return x
        logits = self.fc(self.pool5_drop(self.pool5(x)).flatten(1))
        return (logits, first, second) if training else logits
