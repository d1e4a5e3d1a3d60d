"""What both frameworks are fed: order, crops and flips are drawn once, in NumPy, from the seed.

He et al., "Deep Residual Learning for Image Recognition" (2015), section 4.2: 4 pixels are padded
on each side, and a 32x32 crop is taken of the image or its mirror image.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from training.data.cifar import SIDE, Cifar

PAD = 4
# Of the 50,000 training images, per channel, over 255: computed from all of them.
MEAN = (0.49139968, 0.48215841, 0.44653091)
STD = (0.24703223, 0.24348513, 0.26158784)
_VALUES = np.arange(256, dtype=np.float64)[None] / 255
# (3, 256): what every value of every channel becomes.
_TABLE = ((_VALUES - np.array(MEAN)[:, None]) / np.array(STD)[:, None]).astype(np.float32)


def normalised(images: np.ndarray) -> np.ndarray:
    """uint8 (N, 3, H, W) to float32, each channel by its mean and deviation."""
    found = np.empty(images.shape, np.float32)
    for channel, table in enumerate(_TABLE):
        np.take(table, images[:, channel], out=found[:, channel], mode="clip")  # unbuffered
    return found


def cut(images: np.ndarray, rows: np.ndarray, columns: np.ndarray, flips: np.ndarray) -> np.ndarray:
    """A 32x32 crop of each padded image (N, 3, 32, 32), from ``rows`` and ``columns``, 0 to 8.

    The padding is black before it is normalised, as torchvision's RandomCrop pads.
    """
    padded = np.pad(images, ((0, 0), (0, 0), (PAD, PAD), (PAD, PAD)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (SIDE, SIDE), axis=(2, 3))
    found = seen[np.arange(len(images)), :, rows, columns]
    found[flips] = found[flips][..., ::-1]
    return found


def share(count: int, rank: int, workers: int) -> slice:
    """Which of ``count`` images the ``rank``-th worker takes: in order, and as even as can be."""
    return slice(count * rank // workers, count * (rank + 1) // workers)


def epoch(
    part: Cifar, batch: int, seed: int, number: int, rank: int = 0, workers: int = 1
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(float32 images (n, 3, 32, 32), int64 labels (n,)) of an epoch, every image once.

    A function of its arguments alone: an epoch begun anew is the same. The last batch is smaller
    where the images don't divide. A worker gets its share of each: together they have the batch.
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


def plain(part: Cifar, batch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same of every image as it is, in order: what is evaluated."""
    for start in range(0, len(part.labels), batch):
        at = slice(start, start + batch)
        yield normalised(part.images[at]), np.asarray(part.labels[at])
