"""Guesses with numbers in them: a scale, a bias, a line per channel, found by least squares."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from parity.diagnosis import kernels
from parity.diagnosis.view import Array, Guess, View

_FEWEST = 8  # values that a number fitted per channel must explain


def scaled(view: View) -> Iterator[Guess]:
    """The output times one number."""
    if view.given.shape == view.expected.shape and view.expected.any():
        factor = float((view.given * view.expected).sum() / (view.expected**2).sum())
        yield Guess(f"{factor:.7g}", factor * view.expected, view.rounded_tensors)


def enough(view: View) -> bool:
    """Whether a number fitted per channel would have more than itself to explain."""
    same = view.given.shape == view.expected.shape and view.given.ndim == 4
    return same and view.given[:, 0].size >= _FEWEST


def biased(view: View) -> Iterator[Guess]:
    """The output plus one number per channel."""
    if enough(view):
        bias = (view.given - view.expected).mean(axis=(0, 2, 3))
        detail = f"from {bias.min():.4g} to {bias.max():.4g}"
        yield Guess(detail, view.expected + kernels.per_channel(bias))


def channels_scaled(view: View) -> Iterator[Guess]:
    """The output times one number per channel, plus another."""
    if enough(view):
        slope, offset = line_per_channel(view.expected, view.given)
        detail = (
            f"factors from {slope.min():.4g} to {slope.max():.4g}, "
            f"offsets from {offset.min():.4g} to {offset.max():.4g}"
        )
        output = kernels.per_channel(slope) * view.expected + kernels.per_channel(offset)
        yield Guess(detail, output)


def line_per_channel(x: Array, y: Array) -> tuple[Array, Array]:
    """Slope and offset, (C,) each, of the least-squares line from ``x`` to ``y``."""
    axes = (0, 2, 3)
    mean_x, mean_y = x.mean(axis=axes), y.mean(axis=axes)
    dx = x - kernels.per_channel(mean_x)
    spread = (dx**2).sum(axis=axes)
    slope = (dx * y).sum(axis=axes) / np.where(spread > 0, spread, 1)
    return slope, mean_y - slope * mean_x
