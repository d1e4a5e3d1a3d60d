"""``python -m training.evaluate``: the test images in both frameworks, compared one by one."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import weight_port
from parity.records import RecordError
from parity.workers.launch import available_threads
from training import sheet
from training.data.cifar import CLASSES, limited
from training.data.normalisations import NORMALISATIONS, OWN, Channels, Normalisation
from training.errors import TrainingError
from training.evaluate import record as records
from training.loop import launch
from weight_port import Detection, WeightPortError, terminal
from weight_port.conversion import twins

RECORD = "evaluation.json"
_CHANNELS = 3
_ERRORS = (RecordError, TrainingError, WeightPortError, ImportError, OSError)


def scores(
    weights: Path,
    model: str,
    images: Path,
    limit: int | None,
    normalisation: Normalisation = NORMALISATIONS[OWN],
) -> dict[str, np.ndarray]:
    """Each framework's logits of the test images, (N, 10) float32. Raises TrainingError.

    ``images`` is what ``sheet.load`` takes; only the first ``limit`` of them are scored.
    """
    logits = {}
    settings = {"model": model, "rate": 0.0, "momentum": 0.0, "weight_decay": 0.0}
    for framework in launch.MODULES:
        with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
            out = Path(folder, "logits.npy")
            job: dict[str, Any] = {
                "task": "score",
                "settings": settings,
                "how": {"threads": available_threads()},
            }
            paths = {"weights": str(weights), "data": str(images), "out": str(out)}
            job |= {**paths, "limit": limit, "normalisation": normalisation}
            if launch.start(framework, job):
                raise TrainingError(f"{framework} could not score {weights}; see above")
            logits[framework] = np.load(out)
            _check_finite(f"{framework}'s logits of", weights, {"logits": logits[framework]})
    return logits


def _check_finite(what: str, weights: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Raises TrainingError for NaN and infinity: the largest of them is no class."""
    bad = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if bad:
        raise TrainingError(
            f"{weights}: {what} it are not all finite: {', '.join(bad[:4])}: there is nothing to "
            "evaluate"
        )


def _check_network(weights: Path, detection: Detection) -> None:
    """Raises TrainingError for a network that can't say CIFAR-10's classes."""
    if detection.in_channels != _CHANNELS:
        raise TrainingError(
            f"{weights}: takes images of {detection.in_channels} channels, CIFAR-10's have "
            f"{_CHANNELS}; name a network that was trained on it"
        )
    if not detection.include_top:
        raise TrainingError(f"{weights}: has no classifier; name a whole network's file")
    if detection.num_classes != len(CLASSES):
        raise TrainingError(
            f"{weights}: has {detection.num_classes} classes, CIFAR-10 has {len(CLASSES)}; name a "
            "network that was trained on it"
        )


def _normalisation(args: argparse.Namespace) -> Normalisation:
    """What the options say, and a line on it."""
    named = NORMALISATIONS[args.normalisation]
    how = Normalisation(args.mean or named.mean, args.std or named.std)
    mean, std = (", ".join(f"{value:g}" for value in values) for values in how)
    terminal.progress(
        f"images normalised by mean {mean} and deviation {std}; a network that was trained with "
        "others needs --normalisation, or --mean and --std"
    )
    return how


def _channels(text: str) -> Channels:
    """Three numbers, separated by commas."""
    values = tuple(terminal.real(part) for part in text.split(","))
    if len(values) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} must be three numbers: red,green,blue")
    return values


def _deviations(text: str) -> Channels:
    values = _channels(text)
    if min(values) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r}: a deviation must be over 0")
    return values


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
    how = "what pixels from 0 to 1 are normalised by (default: what this suite trains with)"
    add("--normalisation", choices=tuple(NORMALISATIONS), default=OWN, help=how)
    add("--mean", type=_channels, metavar="R,G,B", help="another mean")
    add("--std", type=_deviations, metavar="R,G,B", help="other standard deviations")
    terminal.add_version(parser)
    return parser


def _evaluate(args: argparse.Namespace) -> int:
    test = limited(sheet.load(args.data), args.limit)
    recognised = weight_port.recognise(args.weights, architecture=args.architecture)
    model = recognised.detection.architecture
    if line := twins.short(recognised.detection):
        terminal.progress(f"{args.weights}: {line}")
    if recognised.others:
        terminal.progress(f"{args.weights}: {'; '.join(recognised.notes)}")
    _check_network(args.weights, recognised.detection)
    _check_finite("tensors of", args.weights, recognised.tensors)
    how = _normalisation(args)
    logits = scores(args.weights, model, args.data, args.limit, how)
    comparison = records.compare(logits, np.asarray(test.labels))
    print(records.text(comparison))
    if args.out is not None:
        from training.evaluate import pictures  # needs matplotlib

        record = records.whole(comparison, model, args.weights, test, how)
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
