"""Paddle's halves of small pairs; see ``pair_torch``."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn


class Perceptron(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.ln, self.fc2 = nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 4)
        self.gelu = nn.GELU()

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.fc2(self.ln(self.gelu(self.fc1(x)) + x))


class Mobile(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2D(3, 8, 3, 2, 1, bias_attr=False)
        self.norm1, self.swish = nn.BatchNorm2D(8), nn.Hardswish()
        self.dw = nn.Conv2D(8, 8, 3, 1, 1, groups=8)
        self.norm2, self.act2 = nn.BatchNorm2D(8), nn.ReLU()
        self.gap, self.se = nn.AdaptiveAvgPool2D(1), nn.Conv2D(8, 8, 1)
        self.sigmoid = nn.Hardsigmoid()
        self.down, self.fc = nn.AvgPool2D(3, 2, 1, exclusive=False), nn.Linear(72, 5)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = self.swish(self.norm1(self.conv1(x)))
        y = self.act2(self.norm2(self.dw(x)))
        y = y * self.sigmoid(self.se(self.gap(y)))
        return self.fc(paddle.flatten(self.down(F.leaky_relu(x + y, 0.1)), 1))


class Recogniser(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.c1 = nn.Embedding(20, 8), nn.Conv1D(8, 8, 3, padding=1)
        self.norm, self.act, self.down = nn.BatchNorm1D(8), nn.ReLU(), nn.MaxPool1D(2)
        self.lstm = nn.LSTM(8, 6, 2, direction="bidirect", dropout=0.5)
        self.dropout, self.fc = nn.Dropout(0.3), nn.Linear(12, 5)

    def forward(self, ids: paddle.Tensor, mask: paddle.Tensor) -> dict[str, object]:
        x = self.act(self.norm(self.c1(self.embed(ids).transpose([0, 2, 1]))))
        x = self.down(x).transpose([0, 2, 1])
        output, state = self.lstm(x * mask.unsqueeze(2).astype(x.dtype))
        return {"logits": self.fc(self.dropout(output)), "state": state}


class Encoder(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.cls = self.create_parameter([1, 1, 8])
        layer = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu")
        self.blocks = nn.TransformerEncoder(layer, 2)

    def forward(self, inputs: dict[str, paddle.Tensor]) -> paddle.Tensor:
        x = inputs["x"] + inputs["position"]
        return self.blocks(paddle.concat([self.cls.expand([len(x), 1, 8]), x], 1))


def bare_linear() -> nn.Layer:
    return nn.Linear(7, 3)


def bare_lstm() -> nn.Layer:
    return nn.LSTM(4, 3)


def bare_function() -> nn.Layer:
    class Doubled(nn.Layer):
        def forward(self, x: paddle.Tensor) -> paddle.Tensor:
            return x + x

    return Doubled()
