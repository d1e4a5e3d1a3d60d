"""Network in Network in Paddle; the mirror of ``pytorch_impl/nin.py``.

Lin, Chen and Yan, "Network In Network" (2013): after each convolution two of 1x1, a perceptron that
slides along, and in the end a map per class, averaged. ``nin`` is for ImageNet, ``nin_cifar`` for
CIFAR-10.
"""

from __future__ import annotations

from paddle import Tensor

from paddle_impl.network import Classic


class NIN(Classic):
    """Images (N, 3, H, W) to logits; without ``include_top``, to the maps before the classes'."""

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.table:
            if layer.kind == "conv":
                x = self.conv(layer.name, x)
            else:
                x = self.after(f"{layer.name}_drop", getattr(self, layer.name)(x))
        return x.flatten(1) if self.include_top else x  # (N, num_classes, 1, 1) at the end
