"""A hypothesis: the layers that a cause is about, how it is tried, what the user is told.

Rows of a lower ``tier`` are tried first, and those of a higher one only if none of them
reproduces the port's output: a hypothesis with fitted numbers does not compete with one without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from parity.diagnosis.view import Guess, View

NOTHING_FITTED, FEW_FITTED, FITTED_PER_CHANNEL, ROUNDED = range(4)


@dataclass(frozen=True)
class Hypothesis:
    """One cause: its key, the kinds of layer that it is about, and how to try it."""

    cause: str
    kinds: tuple[str, ...]
    guesses: Callable[[View], Iterator[Guess]]
    sentence: str  # filled with the layer's name and the guess's detail
    tier: int = NOTHING_FITTED
    of_weights: bool = False  # the port's checkpoint can tell where the mistake was made
    covers: tuple[str, ...] = ()  # causes that are this one, less precisely


# Kinds of layer that several rows are about.
IMAGES, CONV, NORM, FC = ("images", "conv"), ("conv",), ("batch_norm",), ("linear",)
END = ("linear", "logits")
CLASSIC = ("mean_pool", "adaptive_pool", "local_norm", "concat")
ALL = ("images", "conv", "batch_norm", "max_pool", "block", "avg_pool", *CLASSIC, *END)
INNER = tuple(kind for kind in ALL if kind != "images")
