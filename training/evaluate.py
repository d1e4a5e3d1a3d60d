"""``python -m training.evaluate``: the test images in both frameworks, compared one by one."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from parity.launch import available_threads
from training import data, process
from training.data import CLASSES, Cifar
from training.errors import TrainingError
from training.loop import limited
from weight_port import WeightPortError, disk
from weight_port.files import open_checkpoint
from weight_port.naming import recognise

Record = dict[str, Any]


def scores(weights: Path, model: str, folder: Path, limit: int | None) -> dict[str, np.ndarray]:
    """Each framework's logits of the test images, (N, 10) float32. Raises TrainingError."""
    found = {}
    settings = {"model": model, "rate": 0.0, "momentum": 0.0, "weight_decay": 0.0}
    for framework in process.MODULES:
        with tempfile.TemporaryDirectory(prefix="resnet-parity-") as name:
            out = Path(name, "logits.npy")
            job = {"task": "score", "settings": settings, "how": {"threads": available_threads()}}
            paths = {"weights": str(weights), "data": str(folder), "out": str(out)}
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


def text(record: Record) -> str:
    """The comparison for a terminal."""
    sides = record["frameworks"]
    lines = [
        [name, *(f"{side['by_class'][number]:.1%}" for side in sides.values())]
        for number, name in enumerate(CLASSES)
    ]
    total = record["images"]
    lines.append(["all", *(f"{side['right'] / total:.2%}" for side in sides.values())])
    lines.append([f"right, of {total}", *(str(side["right"]) for side in sides.values())])
    shown = [tabulate(lines, ["", *sides], colalign=["left", *len(sides) * ["right"]])]
    shown.append(f"largest difference of a logit: {record['largest_difference']:.1e}")
    names = list(sides)
    for one in record["disagreements"]:
        words = ", ".join(f"{name} {CLASSES[one[name]]}" for name in names)
        shown.append(f"image {one['image']}, {CLASSES[one['truth']]}: {words}")
    count = len(record["disagreements"])
    shown.append("no image is seen otherwise" if not count else f"{count} images differ")
    return "\n".join(shown)


def _write(record: Record, out: Path, test: Cifar, chosen: np.ndarray) -> list[Path]:
    from training import pictures

    out.mkdir(parents=True, exist_ok=True)
    path = out / "evaluation.json"
    with disk.new_file(path, force=True) as stream:
        stream.write(f"{json.dumps(record, indent=1, allow_nan=False)}\n".encode())
    return [path, *pictures.draw(record, test, chosen, out)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command: exit status 0 where both frameworks say the same of every image, else 1."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    add = parser.add_argument
    add("weights", type=Path, metavar="FILE", help="a trained network, in any format and dialect")
    add("--data", type=Path, required=True, metavar="DIR", help="made by python -m training.data")
    add("--out", type=Path, metavar="DIR", help="for evaluation.json, confusion.png, samples.png")
    add("--limit", type=int, metavar="N", help="the first N test images alone")
    add(
        "--architecture",
        metavar="NAME",
        help="where the tensors are those of several networks and the file doesn't say whose",
    )
    words = parser.parse_args(arguments)
    try:
        test = limited(data.load(words.data, "test"), words.limit)
        contents = open_checkpoint(words.weights).contents
        model = recognise(contents, architecture=words.architecture).found.architecture
        logits = scores(words.weights, model, words.data, words.limit)
        record = {"model": model, **compare(logits, np.asarray(test.labels))}
        print(text(record))
        if words.out is not None:
            chosen = next(iter(logits.values())).argmax(axis=1)
            for path in _write(record, words.out, test, chosen):
                print(f"{path}: written", file=sys.stderr)
    except (TrainingError, WeightPortError, ImportError, OSError) as error:
        print(f"training.evaluate: {error}", file=sys.stderr)
        return 2
    return int(bool(record["disagreements"]))


if __name__ == "__main__":
    raise SystemExit(main())
