"""AlexNet in PyTorch, in one tower; the mirror of ``paddle_impl/alexnet.py``.

Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks" (2012), and
``alexnet_owt``, the network of Krizhevsky, "One weird trick for parallelizing convolutional neural
networks" (2014), as torchvision and paddle.vision have it. Local response normalisation is the row
``alexnet_lrn``'s.
"""

from __future__ import annotations

from torch import Tensor

from pytorch_impl.network import Classic


class AlexNet(Classic):
    """Images (N, 3, 224, 224) to logits; without ``include_top``, to maps (N, 256, 6, 6).

    ``alexnet_owt`` takes images of any size from 63 pixels on.
    """

    def forward(self, x: Tensor) -> Tensor:
        for name in ("conv1", "conv2"):  # (N, 96, 27, 27), (N, 256, 13, 13)
            x = self.conv(name, x)
            x = self.after(f"norm{name[-1]}", x)
            x = getattr(self, f"pool{name[-1]}")(x)
        for name in ("conv3", "conv4", "conv5"):  # (N, 384, 13, 13), …
            x = self.conv(name, x)
        x = self.pool5(x)  # (N, 256, 6, 6)
        if not self.include_top:
            return x
        x = self.after("pool5_drop", x)
        x = self.after("pool6_drop", self.after("pool6", x))
        x = self.fc6_drop(self.activation(self.fc6(x.flatten(1))))
        x = self.activation(self.fc7(x))
        return self.fc8(x)
