"""LeNet-5 in Paddle; the mirror of ``pytorch_impl/lenet.py``.

LeCun et al., "Gradient-Based Learning Applied to Document Recognition" (1998), in the form that is
taught today: max-pools, every map of the second convolution from all of the first, a linear layer
at the end; sigmoid, or ReLU (``lenet5_relu``).
"""

from __future__ import annotations

from paddle import Tensor

from paddle_impl.network import Classic


class LeNet(Classic):
    """Images (N, 1, 28, 28) to logits (N, 10); without ``include_top``, to maps (N, 16, 5, 5)."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(self.conv("conv1", x))  # (N, 6, 14, 14)
        x = self.pool2(self.conv("conv2", x))  # (N, 16, 5, 5)
        if not self.include_top:
            return x
        x = self.activation(self.fc3(x.flatten(1)))  # (N, 120)
        x = self.activation(self.fc4(x))  # (N, 84)
        return self.fc5(x)
