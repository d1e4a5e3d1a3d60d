"""``python -m benchmarks train``: its options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from benchmarks.commands.options import add_output, destination, keep
from weight_port import terminal


def train(arguments: Sequence[str]) -> int:
    """Time training steps beside a bare loop, in every mode; with --data, their accuracy too."""
    from benchmarks.experiments.train import measure
    from training.data import cifar
    from training.errors import DataError
    from training.settings import MODELS

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks train",
        description=train.__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--model", choices=MODELS, default="resnet20", metavar="NAME", help=", ".join(MODELS))
    add("--batch", type=terminal.whole(1), default=128, help="images in a step")
    add("--steps", type=terminal.whole(1), default=10, help="in a block that is timed")
    add("--repeats", type=terminal.whole(1), default=4, help="blocks of each kind in a process")
    add("--rounds", type=terminal.whole(1), default=5, help="processes per row; ratios need 5")
    add("--seed", type=terminal.whole(0), default=0, help="the first one")
    add("--data", type=Path, metavar="DIR", help="made by python -m training.data: accuracies")
    add("--epochs", type=terminal.whole(1), default=5, help="of each training for the accuracies")
    add(
        "--limit",
        type=terminal.whole(1),
        metavar="N",
        help="of each part of the data, N images alone",
    )
    add("--seeds", type=terminal.whole(1), default=3, help="trainings per row")
    add_output(parser)
    chosen = parser.parse_args(arguments)
    file = destination(parser, chosen)
    if chosen.data is not None:
        try:
            cifar.load(chosen.data, "test")  # now, not after the speeds were measured
        except DataError as error:
            parser.error(str(error))
    options = measure.Options(**{f.name: getattr(chosen, f.name) for f in fields(measure.Options)})
    done = measure.measure(options, terminal.progress)
    return keep(file, done, chosen, done["rows"])
