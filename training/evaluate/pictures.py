"""What a trained network takes for what, and a look at some of its images; through matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.data.cifar import CLASSES, Cifar
from weight_port.storage import disk

_ROWS, _COLUMNS = 4, 8


def draw(record: Mapping[str, Any], test: Cifar, chosen: np.ndarray, out: Path) -> list[Path]:
    """``confusion.png`` and ``samples.png`` in ``out``, of the first framework.

    ``chosen`` (N,) is the class that was seen in each image. Raises ImportError without
    matplotlib.
    """
    name, side = next(iter(record["frameworks"].items()))
    confusion = np.array(side["confusion"])
    figures = {
        "confusion.png": _confusion(f"{record['model']} in {name}", confusion),
        "samples.png": _samples(test.images, np.asarray(test.labels), chosen),
    }
    for file, figure in figures.items():
        with disk.new_file(out / file, force=True) as stream:
            figure.savefig(stream, format="png", dpi=150, metadata={"Software": None})
    return [out / file for file in figures]


def _confusion(title: str, counts: np.ndarray) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(counts > 0):
        dark = shares[row, column] > 0.5
        axes.text(column, row, counts[row, column], ha="center", va="center", fontsize=7,
                  color="white" if dark else "black")  # fmt: skip
    axes.set_xticks(range(len(CLASSES)), CLASSES, rotation=45, ha="right")
    axes.set_yticks(range(len(CLASSES)), CLASSES)
    axes.set_xlabel("seen as")
    axes.set_ylabel("is")
    axes.set_title(title)
    return figure


def _samples(images: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> Any:
    """The first images, and among them the first mistakes: half the places each, if there are."""
    from matplotlib.figure import Figure

    wrong = np.flatnonzero(labels != chosen)[: _ROWS * _COLUMNS // 2]
    first = np.setdiff1d(np.arange(len(labels)), wrong)[: _ROWS * _COLUMNS - len(wrong)]
    figure = Figure(figsize=(10, 6.2), layout="constrained")
    for place, at in enumerate([*first, *wrong]):
        axes = figure.add_subplot(_ROWS, _COLUMNS, place + 1)
        axes.imshow(images[at].transpose(1, 2, 0))
        axes.set_axis_off()
        truth, seen = CLASSES[labels[at]], CLASSES[chosen[at]]
        said = truth if truth == seen else f"{truth}\nseen as {seen}"
        axes.set_title(said, fontsize=8, color="black" if truth == seen else "#B00020")
    return figure
