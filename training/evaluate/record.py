"""The record of an evaluation: scores, what the frameworks differ in, and the table of both."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from parity import machine, records
from parity.workers.launch import available_threads
from training.data import cifar
from training.data.cifar import CLASSES, Cifar
from training.errors import TrainingError
from training.loop import launch as process
from weight_port.storage.digest import Digest

Record = dict[str, Any]


def scores(weights: Path, model: str, images: Path, limit: int | None) -> dict[str, np.ndarray]:
    """Each framework's logits of the test images, (N, 10) float32. Raises TrainingError.

    ``images`` is what ``sheet.load`` takes.
    """
    found = {}
    settings = {"model": model, "rate": 0.0, "momentum": 0.0, "weight_decay": 0.0}
    for framework in process.MODULES:
        with tempfile.TemporaryDirectory(prefix="resnet-parity-") as name:
            out = Path(name, "logits.npy")
            job = {"task": "score", "settings": settings, "how": {"threads": available_threads()}}
            paths = {"weights": str(weights), "data": str(images), "out": str(out)}
            if process.start(framework, {**job, **paths, "limit": limit}):
                raise TrainingError(f"{framework} could not score {weights}; see above")
            found[framework] = np.load(out)
    return found


def compare(logits: Mapping[str, np.ndarray], labels: np.ndarray) -> Record:
    """What each framework says of the images, and where the two don't agree.

    ``confusion[i][j]`` counts images of class i that were taken for class j.
    """
    said = {framework: found.argmax(axis=1) for framework, found in logits.items()}
    one, other = said.values()
    apart = np.flatnonzero(one != other)
    frameworks = {}
    for framework, chosen in said.items():
        confusion = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
        np.add.at(confusion, (labels, chosen), 1)
        counts = np.maximum(confusion.sum(axis=1), 1)
        frameworks[framework] = {
            "right": int((chosen == labels).sum()),
            "by_class": (confusion.diagonal() / counts).tolist(),
            "confusion": confusion.tolist(),
        }
    pair = np.abs(np.subtract(*logits.values(), dtype=np.float64))
    return {
        "images": len(labels),
        "frameworks": frameworks,
        "largest_difference": float(pair.max()),
        "disagreements": [
            {"image": int(at), "truth": int(labels[at]), **{f: int(c[at]) for f, c in said.items()}}
            for at in apart
        ],
    }


def table(record: Mapping[str, Any], style: str) -> str:
    """The accuracies: a line per class, all, and the count; a column per framework."""
    sides, total = record["frameworks"], record["images"]
    lines = [
        [name, *(f"{side['by_class'][number]:.1%}" for side in sides.values())]
        for number, name in enumerate(CLASSES)
    ]
    lines.append(["all", *(f"{side['right'] / total:.2%}" for side in sides.values())])
    lines.append([f"right, of {total:,}", *(f"{side['right']:,}" for side in sides.values())])
    right = ["left", *len(sides) * ["right"]]
    return tabulate(lines, ["", *sides], tablefmt=style, colalign=right, disable_numparse=True)


def text(record: Mapping[str, Any]) -> str:
    """The comparison for a terminal."""
    shown = [table(record, "simple")]
    shown.append(f"largest difference of a logit: {record['largest_difference']:.1e}")
    names = list(record["frameworks"])
    for one in record["disagreements"]:
        words = ", ".join(f"{name} {CLASSES[one[name]]}" for name in names)
        shown.append(f"image {one['image']}, {CLASSES[one['truth']]}: {words}")
    shown.append(_differ(record))
    return "\n".join(shown)


def _differ(record: Mapping[str, Any]) -> str:
    count = len(record["disagreements"])
    return f"{count} images differ" if count else "no image is seen otherwise"


def legend(record: Mapping[str, Any]) -> str:
    """What was shown what, how far the logits were apart, where and with what."""
    return (
        f"{record['model']} ({record['weights']['file']}) on {record['images']:,} test images: "
        f"{_differ(record)}; the largest difference of a logit is "
        f"{record['largest_difference']:.1e}. {machine.said(record['context'])}"
    )


def _about(weights: Path, test: Cifar) -> Record:
    """Which weights (a folder has no digest) and images, where and with what."""
    whole = Digest(weights).result() if weights.is_file() else None
    return {
        "context": machine.made(*process.MODULES),
        "weights": {"file": weights.name, "sha256": whole},
        "data": cifar.digest(test),
    }


def _write(record: Record, out: Path, test: Cifar, chosen: np.ndarray) -> list[Path]:
    from training.evaluate import pictures

    out.mkdir(parents=True, exist_ok=True)
    path = out / "evaluation.json"
    records.write(path, record, force=True)
    return [path, *pictures.draw(record, test, chosen, out)]
