"""VGG in Paddle; the mirror of ``pytorch_impl/vgg.py``.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition" (2014),
table 1: configurations A, B, D and E, with and without batch norm.
"""

from __future__ import annotations

from paddle import Tensor

from paddle_impl.network import Classic


class VGG(Classic):
    """Images (N, 3, H, W), from 32 pixels on, to logits; without ``include_top``, to maps (N, 512,
    H/32, W/32)."""

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.table:
            if layer.kind == "conv":
                x = self.conv(layer.name, x)
            elif layer.kind == "max_pool":  # pool1 to pool5: half the height and width
                x = getattr(self, layer.name)(x)
        if not self.include_top:
            return x
        x = self.pool6(x).flatten(1)  # (N, 512 * 7 * 7)
        x = self.fc6_drop(self.activation(self.fc6(x)))
        x = self.fc7_drop(self.activation(self.fc7(x)))
        return self.fc8(x)
