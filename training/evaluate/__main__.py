"""``python -m training.evaluate``: the test images in both frameworks, compared one by one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import weight_port
from training import sheet
from training.errors import TrainingError
from training.evaluate.record import _about, _write, compare, scores, text
from training.loop.epochs import limited
from weight_port import WeightPortError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command: exit status 0 where both frameworks say the same of every image, else 1."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    add = parser.add_argument
    add("weights", type=Path, metavar="FILE", help="a trained network, in any format and dialect")
    made = "made by python -m training.data, or a PNG by python -m training.sheet"
    add("--data", type=Path, required=True, metavar="DIR", help=made)
    add("--out", type=Path, metavar="DIR", help="for evaluation.json, confusion.png, samples.png")
    add("--limit", type=int, metavar="N", help="the first N test images alone")
    add(
        "--architecture",
        metavar="NAME",
        help="where the tensors are those of several networks and the file doesn't say whose",
    )
    words = parser.parse_args(arguments)
    try:
        test = limited(sheet.load(words.data), words.limit)
        recognised = weight_port.recognise(words.weights, architecture=words.architecture)
        model = recognised.detection.architecture
        logits = scores(words.weights, model, words.data, words.limit)
        record = {"model": model, **compare(logits, np.asarray(test.labels))}
        print(text(record))
        if words.out is not None:
            record |= _about(words.weights, test)
            chosen = next(iter(logits.values())).argmax(axis=1)
            for path in _write(record, words.out, test, chosen):
                print(f"{path}: written", file=sys.stderr)
    except (TrainingError, WeightPortError, ImportError, OSError) as error:
        print(f"training.evaluate: {error}", file=sys.stderr)
        return 2
    return int(bool(record["disagreements"]))


if __name__ == "__main__":
    raise SystemExit(main())
