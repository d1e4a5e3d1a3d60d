"""``python -m training.evaluate``: the test images in both frameworks, compared one by one."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import weight_port
from parity.records import RecordError
from parity.workers.launch import available_threads
from training import sheet
from training.data.cifar import limited
from training.errors import TrainingError
from training.evaluate import record as records
from training.loop import launch
from weight_port import WeightPortError, terminal
from weight_port.conversion import twins

RECORD = "evaluation.json"
_ERRORS = (RecordError, TrainingError, WeightPortError, ImportError, OSError)


def scores(weights: Path, model: str, images: Path, limit: int | None) -> dict[str, np.ndarray]:
    """Each framework's logits of the test images, (N, 10) float32. Raises TrainingError.

    ``images`` is what ``sheet.load`` takes; only the first ``limit`` of them are scored.
    """
    logits = {}
    settings = {"model": model, "rate": 0.0, "momentum": 0.0, "weight_decay": 0.0}
    for framework in launch.MODULES:
        with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
            out = Path(folder, "logits.npy")
            job = {"task": "score", "settings": settings, "how": {"threads": available_threads()}}
            paths = {"weights": str(weights), "data": str(images), "out": str(out)}
            if launch.start(framework, {**job, **paths, "limit": limit}):
                raise TrainingError(f"{framework} could not score {weights}; see above")
            logits[framework] = np.load(out)
    return logits


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate",
        description=__doc__,
        epilog="Exit status: 0 both frameworks predict the same class for every image, 1 they "
        "don't, 2 wrong usage or not possible.",
    )
    add = parser.add_argument
    add("weights", type=Path, metavar="FILE", help="a trained network, in any format and dialect")
    data = "made by python -m training.data, or a PNG by python -m training.sheet"
    add("--data", type=Path, required=True, metavar="DIR", help=data)
    add("--out", type=Path, metavar="DIR", help=f"for {RECORD}, confusion.png, samples.png")
    add("--limit", type=terminal.whole(1), metavar="N", help="only the first N test images")
    add(
        "--architecture",
        metavar="NAME",
        help="needed where several networks have the file's tensors and it doesn't say which it is",
    )
    terminal.add_version(parser)
    return parser


def _evaluate(args: argparse.Namespace) -> int:
    test = limited(sheet.load(args.data), args.limit)
    recognised = weight_port.recognise(args.weights, architecture=args.architecture)
    model = recognised.detection.architecture
    if line := twins.short(recognised.detection):
        terminal.progress(f"{args.weights}: {line}")
    logits = scores(args.weights, model, args.data, args.limit)
    comparison = records.compare(logits, np.asarray(test.labels))
    print(records.text(comparison))
    if args.out is not None:
        from training.evaluate import pictures  # needs matplotlib

        record = records.whole(comparison, model, args.weights, test)
        args.out.mkdir(parents=True, exist_ok=True)
        records.write(args.out / RECORD, record)
        predicted = next(iter(logits.values())).argmax(axis=1)
        drawn = pictures.draw(record, test, predicted, args.out)
        for path in (args.out / RECORD, *drawn):
            terminal.progress(f"{path}: written")
    return int(bool(comparison["disagreements"]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    args = _parser().parse_args(arguments)
    return terminal.run("training.evaluate", lambda: _evaluate(args), _ERRORS)


if __name__ == "__main__":
    raise SystemExit(terminal.until_closed(main))
