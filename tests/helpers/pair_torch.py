"""PyTorch's halves of small pairs, whose modules have other names than ``pair_paddle``'s."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Perceptron(nn.Module):
    """Two linear layers with a norm; the first is square, which hides a transpose."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 4)
        self.activation = nn.GELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.norm(self.activation(self.first(x)) + x))


class Mobile(nn.Module):
    """A block of a mobile network: depthwise, squeeze and excitation, a residual, a function."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8))
        self.act = nn.Hardswish()
        self.deep = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.bn, self.relu = nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        self.squeeze, self.excite = nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1)
        self.gate = nn.Hardsigmoid()
        self.pool, self.head = nn.AvgPool2d(3, 2, 1), nn.Linear(72, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.stem(x))
        y = self.relu(self.bn(self.deep(x)))
        y = y * self.gate(self.excite(self.squeeze(y)))
        return self.head(torch.flatten(self.pool(F.leaky_relu(x + y, 0.1)), 1))


class Recogniser(nn.Module):
    """Indices and a mask in, a dict of a tensor and a tuple out."""

    def __init__(self) -> None:
        super().__init__()
        self.emb, self.conv = nn.Embedding(20, 8), nn.Conv1d(8, 8, 3, padding=1)
        self.bn, self.relu, self.pool = nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2)
        self.rnn = nn.LSTM(8, 6, 2, batch_first=True, bidirectional=True, dropout=0.5)
        self.drop, self.head = nn.Dropout(0.3), nn.Linear(12, 5)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, object]:
        x = self.relu(self.bn(self.conv(self.emb(ids).transpose(1, 2))))
        x = self.pool(x).transpose(1, 2) * mask[:, :, None]
        output, state = self.rnn(x)
        return {"logits": self.head(self.drop(output)), "state": state}


class Encoder(nn.Module):
    """A Transformer encoder behind a token of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        x = inputs["x"] + inputs["position"]
        return self.encoder(torch.cat([self.token.expand(len(x), 1, 8), x], 1))


def broken_forward() -> nn.Module:
    return nn.Sequential(nn.Linear(7, 7))


def no_module() -> int:
    return 1


def failing() -> nn.Module:
    raise RuntimeError("no such\nlayer")


def bare_linear() -> nn.Module:
    return nn.Linear(7, 3)


def bare_lstm() -> nn.Module:
    return nn.LSTM(4, 3, batch_first=True)


def bare_function() -> nn.Module:
    class Doubled(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

    return Doubled()
