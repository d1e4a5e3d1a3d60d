"""Kinds of layer in NumPy, in float64: slow, plain, independent of both frameworks.

Each takes a layer's inputs, its tensors by role in Paddle's layout, and its settings by the names
of the table of kinds; what it does not know it refuses with NotKnown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray
Tensors = Mapping[str, Array]
Settings = Mapping[str, Any]
Kernel = Callable[[Sequence[Array], Tensors, Settings], Array]


class NotKnown(Exception):
    """A layer whose settings or inputs its kernel does not know."""


def linear(x: Sequence[Array], tensors: Tensors, _settings: Settings) -> Array:
    """``x @ weight + bias``; the weight is [in, out]."""
    product: Array = x[0] @ tensors["weight"]
    return product + tensors["bias"] if "bias" in tensors else product


def embedding(x: Sequence[Array], tensors: Tensors, _settings: Settings) -> Array:
    """The rows of the weight that the indices name."""
    rows: Array = tensors["weight"][x[0]]
    return rows


# -- norms


def _normalised(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    normalised: Array = (x - mean) / np.sqrt(variance + epsilon)
    return normalised


def _affine(x: Array, tensors: Tensors, axis: int) -> Array:
    shape = [1] * x.ndim
    shape[axis] = -1
    for role, change in (("weight", np.multiply), ("bias", np.add)):
        if role in tensors:
            x = change(x, tensors[role].reshape(shape))
    return x


def batch_norm(x: Sequence[Array], tensors: Tensors, settings: Settings) -> Array:
    """Per channel, with the running statistics."""
    shape = [1, -1, *(1 for _ in x[0].shape[2:])]
    mean, variance = (tensors[role].reshape(shape) for role in ("mean", "variance"))
    return _affine((x[0] - mean) / np.sqrt(variance + settings["epsilon"]), tensors, 1)


def layer_norm(x: Sequence[Array], tensors: Tensors, settings: Settings) -> Array:
    """Over the last axes, as many as the weight has."""
    shape = settings["shape"]
    count = tensors["weight"].ndim if "weight" in tensors else len(_listed(shape))
    normalised = _normalised(x[0], tuple(range(-count, 0)), settings["epsilon"])
    scaled: Array = normalised * tensors.get("weight", 1.0) + tensors.get("bias", 0.0)
    return scaled


def group_norm(x: Sequence[Array], tensors: Tensors, settings: Settings) -> Array:
    """Over the channels of a group and all positions."""
    grouped = x[0].reshape(len(x[0]), settings["groups"], -1)
    normalised = _normalised(grouped, (2,), settings["epsilon"]).reshape(x[0].shape)
    return _affine(normalised, tensors, 1)


def instance_norm(x: Sequence[Array], tensors: Tensors, settings: Settings) -> Array:
    """Over the positions of each channel."""
    axes = tuple(range(2, x[0].ndim))
    return _affine(_normalised(x[0], axes, settings["epsilon"]), tensors, 1)


# -- functions of each element


_erf = np.vectorize(math.erf, otypes=[float])


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    result: Array = 0.5 * (1 + np.tanh(x / 2))
    return result


def _gelu(x: Array, s: Settings) -> Array:
    if s.get("approximate") in ("tanh", True):
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
        curve: Array = 0.5 * x * (1 + np.tanh(inner))
        return curve
    exact: Array = 0.5 * x * (1 + _erf(x / math.sqrt(2)))
    return exact


def _softplus(x: Array, s: Settings) -> Array:
    beta = s.get("beta") or 1.0
    curve: Array = np.logaddexp(0.0, beta * x) / beta
    return curve


# A float32 is what Paddle keeps of its hardsigmoid's slope; torch runs with the same here.
_SIXTH = float(np.float32(0.1666667))
ACTIVATIONS: dict[str, Callable[[Array, Settings], Array]] = {
    "relu": lambda x, s: np.maximum(x, 0),
    "relu6": lambda x, s: np.clip(x, 0, 6),
    "leaky_relu": lambda x, s: np.where(x > 0, x, x * s.get("slope", 0.01)),
    "gelu": _gelu,
    "sigmoid": lambda x, s: sigmoid(x),
    "tanh": lambda x, s: np.tanh(x),
    "hardsigmoid": lambda x, s: np.clip(x * _SIXTH + 0.5, 0, 1),
    "hardswish": lambda x, s: x * np.clip(x + 3, 0, 6) / 6,
    "elu": lambda x, s: np.where(x > 0, x, s.get("alpha", 1.0) * np.expm1(np.minimum(x, 0))),
    "softplus": _softplus,
    "silu": lambda x, s: x * sigmoid(x),
    "mish": lambda x, s: x * np.tanh(np.logaddexp(0.0, x)),
    "identity": lambda x, s: x,
}


def softmax(x: Sequence[Array], _tensors: Tensors, settings: Settings) -> Array:
    """Over the axis."""
    axis = settings["axis"]
    powers = np.exp(x[0] - x[0].max(axis, keepdims=True))
    share: Array = powers / powers.sum(axis, keepdims=True)
    return share


def log_softmax(x: Sequence[Array], tensors: Tensors, settings: Settings) -> Array:
    """Its logarithm."""
    return np.asarray(np.log(softmax(x, tensors, settings)))


def attention(x: Sequence[Array], tensors: Tensors, settings: Settings) -> Array:
    """Of heads side by side, over (N, L, E), without a mask."""
    if len(x) != 3 or any(one.ndim != 3 for one in x):
        raise NotKnown("attention with a mask")

    def projected(name: str, array: Array) -> Array:
        rows: Array = array @ tensors[f"{name}.weight"]
        rows = rows + tensors.get(f"{name}.bias", 0.0)
        heads = rows.reshape(*rows.shape[:2], settings["heads"], -1)
        return heads.transpose(0, 2, 1, 3)

    q, k, v = (projected(f"{n}_proj", array) for n, array in zip("qkv", x, strict=True))
    scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(q.shape[-1])
    mixed = softmax([scores], {}, {"axis": -1}) @ v
    joined = mixed.transpose(0, 2, 1, 3).reshape(*x[0].shape[:2], -1)
    result: Array = joined @ tensors["out_proj.weight"] + tensors.get("out_proj.bias", 0.0)
    return result


# -- windows


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _each(value: Any, count: int, name: str) -> list[int]:
    """A setting for each axis. Raises NotKnown for a word, such as SAME."""
    values = _listed(value) * (count if len(_listed(value)) == 1 else 1)
    if len(values) != count or any(type(one) is not int for one in values):
        raise NotKnown(f"{name} is {value}")
    return values


def _windows(
    x: Array, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Array:
    """(N, C, *outputs, *kernel): every window inside."""
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    axes = tuple(range(2, x.ndim))
    every: Array = np.lib.stride_tricks.sliding_window_view(x, reach, axis=axes)
    steps = tuple(slice(None, None, step) for step in stride)
    inner = tuple(slice(None, None, step) for step in dilation)
    return every[(slice(None), slice(None), *steps, *inner)]


_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def conv(x: Sequence[Array], tensors: Tensors, settings: Settings) -> Array:
    """Cross-correlation in 1 to 3 dimensions; the weight is [out, in / groups, *kernel]."""
    weight, groups = tensors["weight"], settings["groups"]
    count = weight.ndim - 2
    stride, pad, dilation = (
        _each(settings[name], count, name) for name in ("stride", "padding", "dilation")
    )
    borders = [(0, 0), (0, 0), *((p, p) for p in pad)]
    padded = np.pad(x[0], borders, mode=_MODES[settings["padding_mode"]])  # type: ignore[call-overload]
    windows = _windows(padded, weight.shape[2:], stride, dilation)
    outputs = windows.shape[2 : 2 + count]
    columns = np.moveaxis(windows, 1, 1 + count)  # (N, *outputs, C, *kernel)
    columns = columns.reshape(len(x[0]), math.prod(outputs), groups, -1)
    rows = weight.reshape(groups, weight.shape[0] // groups, -1)
    result = np.einsum("npgk,gok->ngop", columns, rows, optimize=True)
    result = result.reshape(len(x[0]), weight.shape[0], *outputs)
    return _affine(result, {"bias": tensors["bias"]} if "bias" in tensors else {}, 1)


def _pooled(x: Array, settings: Settings, value: float) -> tuple[Array, int]:
    """(windows (N, C, *outputs, kernel), axes); what hangs over the edge is ``value``."""
    count = x.ndim - 2
    kernel = _each(settings["kernel"], count, "kernel")
    stride = _each(settings["stride"] or settings["kernel"], count, "stride")
    pad = _each(settings["padding"], count, "padding")
    ends = []
    for size, k, s, p in zip(x.shape[2:], kernel, stride, pad, strict=True):
        number = (
            -(-(size + 2 * p - k) // s) + 1
            if settings["ceil_mode"]
            else (size + 2 * p - k) // s + 1
        )
        number -= settings["ceil_mode"] and (number - 1) * s >= size + p
        ends.append(max(p, (number - 1) * s + k - size - p))
    borders = [(0, 0), (0, 0), *zip(pad, ends, strict=True)]
    padded = np.pad(x, borders, constant_values=value)
    windows = _windows(padded, kernel, stride, [1] * count)
    return windows.reshape(*windows.shape[: 2 + count], -1), count


def max_pool(x: Sequence[Array], _tensors: Tensors, settings: Settings) -> Array:
    """The largest value of every window."""
    return np.asarray(_pooled(x[0], settings, -np.inf)[0].max(-1))


def avg_pool(x: Sequence[Array], _tensors: Tensors, settings: Settings) -> Array:
    """The mean of every window, of the input's pixels alone where ``exclusive``."""
    total = _pooled(x[0], settings, 0.0)[0]
    if not settings["exclusive"] and settings["ceil_mode"]:
        raise NotKnown("an average over padding, with windows over the edge")
    inside = _pooled(np.ones_like(x[0][:1, :1]), settings, 0.0)[0].sum(-1)
    size = inside if settings["exclusive"] else total.shape[-1]
    return np.asarray(total.sum(-1) / size)


def adaptive(x: Sequence[Array], settings: Settings, take: Callable[..., Array]) -> Array:
    """``take`` of as many windows as the size says, along each axis."""
    result, count = x[0], x[0].ndim - 2
    sizes = _listed(settings["size"]) * (count if len(_listed(settings["size"])) == 1 else 1)
    for axis, wanted in enumerate(sizes, 2):
        size = result.shape[axis]
        number = wanted or size
        cuts = [(i * size // number, -(-(i + 1) * size // number)) for i in range(number)]
        parts = [take(result.take(range(a, b), axis), axis, keepdims=True) for a, b in cuts]
        result = np.concatenate(parts, axis)
    return result


def activation(name: str) -> Kernel:
    """The kernel of an activation."""
    return lambda x, _tensors, settings: ACTIVATIONS[name](x[0], settings)


KERNELS: dict[str, Kernel] = {
    "linear": linear,
    "embedding": embedding,
    "attention": attention,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "conv": conv,
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "adaptive_avg_pool": lambda x, _tensors, settings: adaptive(x, settings, np.mean),
    "adaptive_max_pool": lambda x, _tensors, settings: adaptive(x, settings, np.max),
    **{name: activation(name) for name in ACTIVATIONS},
}
