"""The record of an evaluation: what the frameworks say of the test images, checked and shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from parity import machine, records
from parity.records import Record
from training.data import cifar
from training.data.cifar import CLASSES, Cifar
from training.data.normalisations import NORMALISATIONS, OWN, Normalisation
from training.loop import launch
from weight_port.storage.digest import Digest

SCHEMA = Path(__file__).with_name("schema.json")
_WHAT = "record of an evaluation"


def compare(logits: Mapping[str, np.ndarray], labels: np.ndarray) -> Record:
    """What each framework predicts for the images, and where the two differ.

    ``logits`` are either framework's, (N, 10), ``labels`` (N,). ``confusion[i][j]`` counts images
    of class i that were taken for class j.
    """
    predictions = {framework: array.argmax(axis=1) for framework, array in logits.items()}
    first, second = predictions.values()
    pair = np.abs(np.subtract(*logits.values(), dtype=np.float64))
    return {
        "images": len(labels),
        "frameworks": {name: _scores(array, labels) for name, array in predictions.items()},
        "largest_difference": float(pair.max()),
        "disagreements": [
            {
                "image": int(at),
                "truth": int(labels[at]),
                **{framework: int(array[at]) for framework, array in predictions.items()},
            }
            for at in np.flatnonzero(first != second)
        ],
    }


def _scores(predicted: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """How often one framework is right, in all and by class."""
    confusion = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    counts = np.maximum(confusion.sum(axis=1), 1)
    return {
        "right": int((predicted == labels).sum()),
        "by_class": (confusion.diagonal() / counts).tolist(),
        "confusion": confusion.tolist(),
    }


def whole(
    comparison: Record,
    model: str,
    weights: Path,
    test: Cifar,
    how: Normalisation = NORMALISATIONS[OWN],
) -> Record:
    """A comparison as a record: with the weights (a folder has no digest), images and machine."""
    digest = Digest(weights).result() if weights.is_file() else None
    return {
        "schema": records.version(SCHEMA),
        "kind": "evaluation",
        "model": model,
        **comparison,
        "context": machine.context(*launch.MODULES),
        "weights": {"file": weights.name, "sha256": digest},
        "data": cifar.digest(test),
        "normalisation": {"mean": list(how.mean), "std": list(how.std)},
    }


def write(path: Path, record: Record) -> None:
    """Write a record in place of an earlier one.

    Raises parity.records.RecordError for what is no such record, weight_port.DestinationError.
    """
    records.check(record, SCHEMA, path, _WHAT)
    records.write(path, record, force=True)


def read(path: Path) -> Record:
    """The record in a file. Raises parity.records.RecordError for any other file."""
    return records.read(path, SCHEMA, _WHAT)


# -- what is shown of it


def table(record: Mapping[str, Any], style: str) -> str:
    """The accuracies: a line for each class, all, and the count; a column for each framework."""
    sides, total = record["frameworks"], record["images"]
    lines = [
        [name, *(f"{side['by_class'][number]:.1%}" for side in sides.values())]
        for number, name in enumerate(CLASSES)
    ]
    lines.append(["all", *(f"{side['right'] / total:.2%}" for side in sides.values())])
    lines.append([f"right, of {total:,}", *(f"{side['right']:,}" for side in sides.values())])
    right = ["left", *len(sides) * ["right"]]
    return tabulate(lines, ["", *sides], tablefmt=style, colalign=right, disable_numparse=True)


def text(comparison: Mapping[str, Any]) -> str:
    """A comparison for a terminal: the table, and each image that the frameworks differ on."""
    lines = [table(comparison, "simple")]
    lines.append(f"largest difference of a logit: {comparison['largest_difference']:.1e}")
    names = list(comparison["frameworks"])
    for image in comparison["disagreements"]:
        predictions = ", ".join(f"{name} {CLASSES[image[name]]}" for name in names)
        lines.append(f"image {image['image']}, {CLASSES[image['truth']]}: {predictions}")
    return "\n".join([*lines, _agreement(comparison)])


def _agreement(comparison: Mapping[str, Any]) -> str:
    count = len(comparison["disagreements"])
    if count:
        images = "1 image" if count == 1 else f"{count} images"
        return f"the frameworks predict different classes for {images}"
    return "both frameworks predict the same class for every image"


def legend(record: Mapping[str, Any]) -> str:
    """Which network and images, how far the logits were apart, where and with what."""
    return (
        f"{record['model']} ({record['weights']['file']}) on {record['images']:,} test images: "
        f"{_agreement(record)}; the largest difference of a logit is "
        f"{record['largest_difference']:.1e}. {machine.summary(record['context'])}"
    )
