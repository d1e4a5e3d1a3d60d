"""Tensors that take up what a target has no place for: biases, epsilons, factors, dropout's scale.

In evaluation a batch norm gives ``scale * (x - mean) / sqrt(variance + epsilon) + offset``; each
function here keeps that, up to one rounding of the tensor's own dtype.
"""

from __future__ import annotations

import numpy as np


def without_factor(statistic: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """A mean or variance [C] over Caffe's moving-average factor [1]; 0 where that is 0.

    ``caffe/layers/batch_norm_layer.cpp`` stores sums and divides by blob 2 when it runs.
    """
    value = float(factor.reshape(-1)[0])
    if value == 1:
        return statistic
    wide = statistic.astype(np.float64) * (1 / value if value else 0.0)
    return wide.astype(statistic.dtype)


def without_bias(mean: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The mean [C] once the convolution has lost its bias [C]: x + b - mean = x - (mean - b)."""
    return (mean.astype(np.float64) - bias.astype(np.float64)).astype(mean.dtype)


def with_epsilon(
    scale: np.ndarray, variance: np.ndarray, before: float, after: float
) -> np.ndarray:
    """The scale [C] that makes up for another epsilon, whatever the variance [C]."""
    wide = variance.astype(np.float64)
    ratio = np.sqrt((wide + after) / (wide + before))
    return (scale.astype(np.float64) * ratio).astype(scale.dtype)


def scaled(weight: np.ndarray, share: float) -> np.ndarray:
    """A linear weight whose inputs dropout scaled by ``share``; by halves without rounding."""
    return (weight.astype(np.float64) * share).astype(weight.dtype)


def identity_projection(
    width: int, epsilon: float, weights: np.dtype, norms: np.dtype
) -> dict[str, np.ndarray]:
    """A 1x1 convolution and batch norm that give their input (N, width, H, W) back, by role."""
    channels = np.ones(width, dtype=norms)
    return {
        "weight": np.eye(width, dtype=weights)[:, :, None, None],
        "scale": (channels.astype(np.float64) * np.sqrt(1 + epsilon)).astype(norms),
        "offset": 0 * channels,
        "mean": 0 * channels,
        "variance": channels,
    }
