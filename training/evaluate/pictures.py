"""Pictures of an evaluation, drawn by matplotlib: the confusion matrix and some of the images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.data.cifar import CLASSES, Cifar
from weight_port.storage import disk

_ROWS, _COLUMNS = 4, 8


def draw(record: Mapping[str, Any], test: Cifar, predicted: np.ndarray, out: Path) -> list[Path]:
    """Draw ``confusion.png`` and ``samples.png`` of the first framework; returns the files.

    ``predicted`` (N,) is the class of each image. Raises ImportError without matplotlib,
    weight_port.DestinationError where they can't be written.
    """
    name, side = next(iter(record["frameworks"].items()))
    confusion = np.array(side["confusion"])
    figures = {
        "confusion.png": _confusion(f"{record['model']} in {name}", confusion),
        "samples.png": _samples(test.images, np.asarray(test.labels), predicted),
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
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title)
    return figure


def _samples(images: np.ndarray, labels: np.ndarray, predicted: np.ndarray) -> Any:
    """The first images that are right, and the first mistakes in at most half of the places."""
    from matplotlib.figure import Figure

    wrong = np.flatnonzero(labels != predicted)[: _ROWS * _COLUMNS // 2]
    first = np.setdiff1d(np.arange(len(labels)), wrong)[: _ROWS * _COLUMNS - len(wrong)]
    figure = Figure(figsize=(10, 6.2), layout="constrained")
    for place, at in enumerate([*first, *wrong]):
        axes = figure.add_subplot(_ROWS, _COLUMNS, place + 1)
        axes.imshow(images[at].transpose(1, 2, 0))
        axes.set_axis_off()
        truth, prediction = CLASSES[labels[at]], CLASSES[predicted[at]]
        right = truth == prediction
        title = truth if right else f"{truth}\ntaken for {prediction}"
        axes.set_title(title, fontsize=8, color="black" if right else "#B00020")
    return figure
