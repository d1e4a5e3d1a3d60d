"""Faults planted in PyTorch's halves of small pairs, and what the judge has to say about each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

Fault = Callable[[Any], None]


@dataclass(frozen=True)
class Row:
    """A fault in a network: where it shows first, the causes that are right, a word to be said.

    ``code`` is done to the module before the sides are matched and weights carried over,
    ``weights`` after that. Where ``causes`` is empty the answer must be "unknown".
    """

    network: str
    first: str
    causes: str = ""
    says: str = ""
    code: Fault | None = None
    weights: Fault | None = None


def put(path: str, make: Callable[[], nn.Module]) -> Fault:
    return lambda model: model.set_submodule(path, make())


def setting(path: str, name: str, value: Any) -> Fault:
    return lambda model: setattr(model.get_submodule(path), name, value)


def runs(path: str, forward: Callable[..., Any]) -> Fault:
    """Another forward pass; it is given the module first."""

    def fault(model: Any) -> None:
        module = model.get_submodule(path)
        module.forward = lambda *given: forward(module, *given)

    return fault


def tensor(key: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Fault:
    def fault(model: Any) -> None:
        with torch.no_grad():
            state = model.state_dict()
            state[key].copy_(change(state[key]).clone())

    return fault


def swap(one: str, other: str) -> Fault:
    def fault(model: Any) -> None:
        state = model.state_dict()
        kept = state[one].clone()
        with torch.no_grad():
            state[one].copy_(state[other])
            state[other].copy_(kept)

    return fault


def whole(forward: Callable[..., Any]) -> Fault:
    """Another forward pass of the network."""
    return lambda model: setattr(model, "forward", lambda *given: forward(model, *given))


def no_residual(m: Any, x: torch.Tensor) -> Any:
    return m.last(m.norm(m.activation(m.first(x))))


def product(m: Any, x: torch.Tensor) -> Any:
    return m.last(m.norm(m.activation(m.first(x)) * x))


def doubled(m: Any, x: torch.Tensor) -> Any:
    return m.last(m.norm(m.activation(m.first(x)) + 2 * x))


def extra_relu(m: Any, x: torch.Tensor) -> Any:
    return m.last(F.relu(m.norm(m.activation(m.first(x)) + x)))


def end_softmax(m: Any, x: torch.Tensor) -> Any:
    return torch.sigmoid(m.last(m.norm(m.activation(m.first(x)) + x)))


def scaled(m: Any, x: torch.Tensor) -> Any:
    return m.last(m.norm(m.activation(m.first(x)) + x)) / 255


def mobile(slope: float = 0.1, order: tuple[int, ...] = (), gate: bool = True) -> Fault:
    def forward(m: Any, x: torch.Tensor) -> Any:
        x = m.act(m.stem(x))
        y = m.relu(m.bn(m.deep(x)))
        scale = m.gate(m.excite(m.squeeze(y)))
        x = m.pool(F.leaky_relu(x + (y * scale if gate else y), slope))
        return m.head(torch.flatten(x.permute(order) if order else x, 1))

    return whole(forward)


def batch_statistics(m: Any, x: torch.Tensor) -> Any:
    return F.batch_norm(x, None, None, m.weight, m.bias, True, 0.0, m.eps)


def no_mask(m: Any, ids: torch.Tensor, mask: torch.Tensor) -> Any:
    x = m.pool(m.relu(m.bn(m.conv(m.emb(ids).transpose(1, 2))))).transpose(1, 2)
    output, state = m.rnn(x)
    return {"logits": m.head(output), "state": state}


def gates(array: torch.Tensor) -> torch.Tensor:
    """The four gates of an LSTM, as another library has them."""
    i, f, g, o = array.chunk(4)
    return torch.cat([i, f, o, g])


def no_position(m: Any, inputs: Any) -> Any:
    x = inputs["x"]
    return m.encoder(torch.cat([m.token.expand(len(x), 1, 8), x], 1))


def token_last(m: Any, inputs: Any) -> Any:
    x = inputs["x"] + inputs["position"]
    return m.encoder(torch.cat([x, m.token.expand(len(x), 1, 8)], 1))


P, M, R, E = "Perceptron", "Mobile", "Recogniser", "Encoder"
Q = "encoder.layers.0.self_attn.in_proj_weight"
L0 = "encoder.layers.0"
FAULTS = {
    "gelu's tanh form": Row(P, "activation = gelu", "approximate", "tanh",
                            put("activation", lambda: nn.GELU("tanh"))),
    "relu for gelu": Row(P, "activation = gelu", "kind", "relu", put("activation", nn.ReLU)),
    "silu for gelu": Row(P, "activation = gelu", "kind", "silu", put("activation", nn.SiLU)),
    "no activation": Row(P, "into norm = ln", "", "", put("activation", nn.Identity)),
    "activation by a function": Row(P, "activation = gelu", "kind", "tanh",
                                    runs("activation", lambda m, x: torch.tanh(x))),
    "layer norm's epsilon": Row(P, "norm = ln", "epsilon", "1e-06", setting("norm", "eps", 1e-6)),
    "layer norm's epsilon hidden": Row(P, "norm = ln", "epsilon", "0.001", runs(
        "norm", lambda m, x: F.layer_norm(x, (6,), m.weight, m.bias, float(torch.tensor(1e-3))))),
    "layer norm skipped": Row(P, "norm = ln", "skipped", "", runs("norm", lambda m, x: x)),
    "layer norm's weight unused": Row(P, "norm = ln", "weight_missing", "", runs(
        "norm", lambda m, x: F.layer_norm(x, (6,), None, m.bias, m.eps))),
    "no residual": Row(P, "into norm = ln", "term_missing", "", whole(no_residual)),
    "product for sum": Row(P, "into norm = ln", "function", "*", whole(product)),
    "doubled shortcut": Row(P, "into norm = ln", "", "", whole(doubled)),
    "relu added": Row(P, "into last = fc2", "activation_added", "relu", whole(extra_relu)),
    "sigmoid at the end": Row(P, "output", "activation_added", "sigmoid", whole(end_softmax)),
    "scaled at the end": Row(P, "output", "scaled", "0.00392157", whole(scaled)),
    "square weight untransposed": Row(P, "first = fc1", "weights", "not transposed",
                                      weights=tensor("first.weight", lambda w: w.T)),
    "bias zero": Row(P, "last = fc2", "weights", "0 everywhere",
                     weights=tensor("last.bias", lambda b: 0 * b)),
    "bias unused": Row(P, "last = fc2", "bias_missing", "",
                       runs("last", lambda m, x: F.linear(x, m.weight))),
    "norm not loaded": Row(P, "norm = ln", "weights", "1 everywhere",
                           weights=tensor("norm.weight", torch.ones_like)),
    "rounded": Row(P, "first = fc1", "weights", "float16",
                   weights=tensor("first.weight", lambda w: w.half().float())),
    "one value": Row(P, "last = fc2", "weights", "1 of 24 values", weights=tensor(
        "last.weight", lambda w: w + torch.eye(4, 6) * (torch.arange(4) == 2)[:, None])),
    "another's tensor": Row(P, "norm = ln", "weights", "another layer, fc1.bias", weights=lambda m:
                            m.norm.weight.data.copy_(m.first.bias.data)),
    "stem's epsilon": Row(M, "stem.1 = norm1", "epsilon", "0.001", setting("stem.1", "eps", 1e-3)),
    "reflected border": Row(M, "deep = dw", "padding_mode", "reflect", put(
        "deep", lambda: nn.Conv2d(8, 8, 3, 1, 1, groups=8, padding_mode="reflect"))),
    "dilation": Row(M, "deep = dw", "padding dilation", "dilation is 2", put(
        "deep", lambda: nn.Conv2d(8, 8, 3, 1, 2, dilation=2, groups=8))),
    "silu for hardswish": Row(M, "act = swish", "kind", "silu", put("act", nn.SiLU)),
    "sigmoid for hardsigmoid": Row(M, "gate = sigmoid", "kind", "sigmoid",
                                   put("gate", nn.Sigmoid)),
    "leaky relu for relu": Row(M, "relu = act2", "kind", "leaky", put("relu", nn.LeakyReLU)),
    "average without padding": Row(M, "pool = down", "exclusive", "", put(
        "pool", lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False))),
    "largest for mean": Row(M, "pool = down", "kind", "max pool",
                            put("pool", lambda: nn.MaxPool2d(3, 2, 1))),
    "global largest for mean": Row(M, "squeeze = gap", "kind", "max",
                                   put("squeeze", lambda: nn.AdaptiveMaxPool2d(1))),
    "batch statistics": Row(M, "bn = norm2", "mode", "training", runs("bn", batch_statistics)),
    "slope of a function": Row(M, "into pool = down", "", "", mobile(slope=0.2)),
    "no gate": Row(M, "into pool = down", "", "", mobile(gate=False)),
    "flattened in another order": Row(M, "into head = fc", "axes", "(0, 2, 3, 1)",
                                      mobile(order=(0, 2, 3, 1))),
    "BGR": Row(M, "stem.0 = conv1", "weights", "along axis 1",
               weights=tensor("stem.0.weight", lambda w: w.flip(1))),
    "mean and variance swapped": Row(M, "bn = norm2", "weights", "", weights=lambda m:
                                     m.bn.running_mean.copy_(m.bn.running_var)),
    "statistics of another norm": Row(M, "stem.1 = norm1", "weights", "another layer",
                                      weights=swap("stem.1.running_var", "bn.running_var")),
    "gates in another order": Row(R, "rnn = lstm", "weights", "i, f, o, g",
                                  weights=tensor("rnn.weight_ih_l0", gates)),
    "directions swapped": Row(R, "rnn = lstm", "weights", "",
                              weights=swap("rnn.weight_hh_l0", "rnn.weight_hh_l0_reverse")),
    "embedding shifted": Row(R, "emb = embed", "weights", "along axis 0",
                             weights=tensor("emb.weight", lambda w: w.roll(1, 0))),
    "mean for largest": Row(R, "pool = down", "kind", "avg pool",
                            put("pool", lambda: nn.AvgPool1d(2))),
    "mask unused": Row(R, "into rnn = lstm", "", "", whole(no_mask)),
    "variance not loaded": Row(R, "bn = norm", "weights", "1 everywhere",
                               weights=tensor("bn.running_var", torch.ones_like)),
    "convolution's bias unused": Row(R, "conv = c1", "bias_missing", "", runs(
        "conv", lambda m, x: F.conv1d(x, m.weight, None, padding=1))),
    "heads": Row(E, f"{L0}.self_attn = blocks.layers.0.self_attn", "heads", "4",
                 lambda m: [setattr(m.encoder.layers[0].self_attn, "num_heads", 4),
                            setattr(m.encoder.layers[0].self_attn, "head_dim", 2)]),
    "query and key swapped": Row(E, f"{L0}.self_attn = blocks.layers.0.self_attn", "weights", "",
                                 weights=tensor(Q, lambda w: w[[*range(8, 16), *range(8),
                                                                *range(16, 24)]])),
    "relu for gelu inside": Row(E, f"into {L0}.linear2 = blocks.layers.0.linear2", "activation",
                                "relu", setting(L0, "activation", F.relu)),
    "tanh form inside": Row(E, f"into {L0}.linear2 = blocks.layers.0.linear2", "activation",
                            "tanh", setting(L0, "activation", lambda x: F.gelu(
                                x, approximate="tanh"))),
    "epsilon of one norm": Row(E, f"{L0}.norm2 = blocks.layers.0.norm2", "epsilon", "1e-06",
                               setting(f"{L0}.norm2", "eps", 1e-6)),
    "no position": Row(E, f"into {L0}.self_attn = blocks.layers.0.self_attn", "", "",
                       whole(no_position)),
    "token at the end": Row(E, f"into {L0}.self_attn = blocks.layers.0.self_attn", "", "",
                            whole(token_last)),
    "output projection not loaded": Row(
        E, f"{L0}.self_attn = blocks.layers.0.self_attn", "weights", "0 everywhere",
        weights=tensor(f"{L0}.self_attn.out_proj.bias", torch.zeros_like)),
}  # fmt: skip
