"""The batches that both frameworks get: order, crops and flips, drawn in NumPy from the seed.

He et al., "Deep Residual Learning for Image Recognition" (2015), section 4.2: 4 pixels are padded
on each side, and a 32x32 crop is taken of the image or its mirror image.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from training.data.cifar import SIDE, Cifar
from training.data.normalisations import NORMALISATIONS, OWN, Normalisation

PAD = 4
_VALUES = np.arange(256, dtype=np.float64)[None] / 255
_OWN = NORMALISATIONS[OWN]


@cache
def _table(how: Normalisation) -> np.ndarray:
    """(3, 256) float32: every value of every channel, normalised."""
    mean, std = (np.array(values)[:, None] for values in how)
    table: np.ndarray = ((_VALUES - mean) / std).astype(np.float32)
    return table


def normalised(images: np.ndarray, how: Normalisation = _OWN) -> np.ndarray:
    """uint8 (N, 3, H, W) to float32, each channel less its mean, over its standard deviation."""
    values = np.empty(images.shape, np.float32)
    for channel, table in enumerate(_table(how)):
        np.take(table, images[:, channel], out=values[:, channel], mode="clip")  # unbuffered
    return values


def cut(images: np.ndarray, rows: np.ndarray, columns: np.ndarray, flips: np.ndarray) -> np.ndarray:
    """A 32x32 crop of each padded image (N, 3, 32, 32), from ``rows`` and ``columns``, 0 to 8.

    The padding is black before it is normalised, as torchvision's RandomCrop pads.
    """
    padded = np.pad(images, ((0, 0), (0, 0), (PAD, PAD), (PAD, PAD)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (SIDE, SIDE), axis=(2, 3))
    crops = windows[np.arange(len(images)), :, rows, columns]
    crops[flips] = crops[flips][..., ::-1]
    return crops


def share(count: int, rank: int, workers: int) -> slice:
    """The share of ``count`` images of the ``rank``-th worker: in order, as even as possible."""
    return slice(count * rank // workers, count * (rank + 1) // workers)


def epoch(
    part: Cifar, batch: int, seed: int, number: int, rank: int = 0, workers: int = 1
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The batches of an epoch: float32 images (n, 3, 32, 32), int64 labels (n,); every image once.

    They follow from the arguments alone, so that an epoch begun anew is the same. The last batch is
    smaller where the batch size doesn't divide the number of images. Each worker gets its share of
    every batch.
    """
    random = np.random.default_rng([seed, number])
    count = len(part.labels)
    order = random.permutation(count)
    rows, columns = random.integers(0, 2 * PAD + 1, (2, count))
    flips = random.random(count) < 0.5
    for start in range(0, count, batch):
        mine = share(min(batch, count - start), rank, workers)
        at = slice(start + mine.start, start + mine.stop)
        images = cut(part.images[order[at]], rows[at], columns[at], flips[at])
        yield normalised(images), part.labels[order[at]]


def plain(
    part: Cifar, batch: int, how: Normalisation = _OWN
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The batches of an evaluation: every image as it is, in order."""
    for start in range(0, len(part.labels), batch):
        at = slice(start, start + batch)
        yield normalised(part.images[at], how), np.asarray(part.labels[at])
