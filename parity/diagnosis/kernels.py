"""The kernels of our networks' layers in NumPy: slow, plain, independent of both frameworks.

Arrays are (N, C, H, W), convolution weights [out, in/groups, kh, kw], linear weights [in, out].
Every function computes in its input's dtype. Windows that hang over the edge follow
``torch.nn.functional``: ``ceil_mode`` lets the last one do so if it starts inside.
"""

from __future__ import annotations

import numpy as np

from weight_port.arch.classic_steps import LOCAL_ALPHA, LOCAL_BETA, LOCAL_SIZE

Array = np.ndarray
Padding = tuple[int, int]  # before and after, for height and width alike


def pad(x: Array, padding: Padding, value: float = 0.0) -> Array:
    """``x`` with a border on its last two axes."""
    if padding == (0, 0):
        return x
    return np.pad(x, ((0, 0), (0, 0), padding, padding), constant_values=value)


def windows(x: Array, kernel: int, stride: int) -> Array:
    """A view (N, C, H', W', kernel, kernel) of every window that lies inside ``x``."""
    found: Array = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))
    return found[:, :, ::stride, ::stride]


def same_padding(size: int, kernel: int, stride: int) -> Padding:
    """TensorFlow's "SAME": ceil(size / stride) windows, the odd pixel of padding at the end."""
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return total // 2, total - total // 2


def conv(
    x: Array, weight: Array, stride: int = 1, padding: Padding | None = None, groups: int = 1
) -> Array:
    """Cross-correlation without bias; ``padding`` is half the kernel unless given."""
    cout, _, kernel, _ = weight.shape
    half = kernel // 2
    inside = windows(pad(x, (half, half) if padding is None else padding), kernel, stride)
    n, _, height, width = inside.shape[:4]
    # (N, groups, in/groups * kh * kw, H' * W'); a copy unless the kernel is 1x1 with stride 1
    columns = inside.transpose(0, 1, 4, 5, 2, 3).reshape(n, groups, -1, height * width)
    rows = weight.reshape(groups, cout // groups, -1)
    output: Array = rows @ columns
    return output.reshape(n, cout, height, width)


def batch_norm(
    x: Array, scale: Array, offset: Array, mean: Array, variance: Array, epsilon: float
) -> Array:
    """Batch norm in evaluation: per channel, with the statistics given; (C,) each."""
    slope = scale / np.sqrt(variance + epsilon)
    found: Array = per_channel(slope) * (x - per_channel(mean)) + per_channel(offset)
    return found


def per_channel(values: Array) -> Array:
    """(C,) as (C, 1, 1), which broadcasts over (N, C, H, W)."""
    return values[:, None, None]


def relu(x: Array) -> Array:
    """The larger of ``x`` and 0, for each element."""
    found: Array = np.maximum(x, 0)
    return found


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    found: Array = 0.5 * (1 + np.tanh(x / 2))
    return found


def local_norm(x: Array, alpha: float = LOCAL_ALPHA, bias: float = 2.0) -> Array:
    """Local response normalisation over 5 channels, with an exponent of 0.75.

    Krizhevsky et al. (2012), section 3.3, with alpha over the window's size, as both frameworks
    have it: ``x / (bias + alpha / size * sum of squares) ** 0.75``.
    """
    size = LOCAL_SIZE
    before, after = size // 2, (size - 1) // 2
    squares = np.pad(x**2, ((0, 0), (before, after), (0, 0), (0, 0)))
    total = sum(squares[:, i : i + x.shape[1]] for i in range(size))
    normalised: Array = x / (bias + alpha / size * total) ** LOCAL_BETA
    return normalised


def adaptive_pool(x: Array, side: int) -> Array:
    """The means of ``side`` times ``side`` windows, which cover a map and overlap if necessary."""
    for axis in (2, 3):
        n = x.shape[axis]
        cuts = [(i * n // side, -(-(i + 1) * n // side)) for i in range(side)]
        parts = [x.take(range(a, b), axis).mean(axis, keepdims=True) for a, b in cuts]
        x = np.concatenate(parts, axis)
    return x


def _after(size: int, kernel: int, stride: int, padding: Padding) -> int:
    """The padding at the end that ceil mode needs: the last window starts inside."""
    before, after = padding
    count = -(-(size + before + after - kernel) // stride) + 1
    count -= (count - 1) * stride >= size + before
    return max(0, (count - 1) * stride + kernel - size - before)


def _padded_windows(
    x: Array, kernel: int, stride: int, padding: Padding, ceil_mode: bool, value: float
) -> Array:
    ends = [_after(n, kernel, stride, padding) if ceil_mode else padding[1] for n in x.shape[2:]]
    borders = [(0, 0), (0, 0), *((padding[0], end) for end in ends)]
    return windows(np.pad(x, borders, constant_values=value), kernel, stride)


def max_pool(
    x: Array,
    kernel: int = 3,
    stride: int = 2,
    padding: Padding = (1, 1),
    ceil_mode: bool = False,
) -> Array:
    """The largest value of every window; padding is never the largest."""
    found: Array = _padded_windows(x, kernel, stride, padding, ceil_mode, -np.inf).max(axis=(4, 5))
    return found


def average_pool(
    x: Array,
    kernel: int,
    stride: int,
    padding: Padding = (0, 0),
    ceil_mode: bool = False,
    count_padding: bool = False,
) -> Array:
    """The mean of every window, over its pixels inside the image unless ``count_padding``."""
    options = (kernel, stride, padding, ceil_mode, 0.0)
    total: Array = _padded_windows(x, *options).sum(axis=(4, 5))
    inside: Array = _padded_windows(np.ones_like(x[:1, :1]), *options).sum(axis=(4, 5))
    mean: Array = total / (kernel**2 if count_padding else inside)
    return mean


def linear(x: Array, weight: Array, bias: Array) -> Array:
    """(N, C) or (N, C, 1, 1) to (N, classes)."""
    found: Array = x.reshape(len(x), -1) @ weight + bias
    return found


def log_softmax(x: Array) -> Array:
    """Over the last axis, without overflow."""
    shifted: Array = x - x.max(axis=-1, keepdims=True)
    found: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found
