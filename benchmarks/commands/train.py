"""``python -m benchmarks train``: training steps beside a bare loop's."""

from __future__ import annotations

import argparse
from functools import partial
from operator import itemgetter
from pathlib import Path

from benchmarks.commands.options import (
    Commands,
    add_command,
    add_output,
    add_pythons,
    dry_run,
    measured,
    pick,
)
from training.settings import MODELS
from weight_port import terminal


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "train", run)
    add = parser.add_argument
    add("--model", choices=MODELS, default="resnet20", metavar="NAME", help=", ".join(MODELS))
    add("--batch", type=terminal.whole(1), default=128, help="images in a step")
    add("--steps", type=terminal.whole(1), default=10, help="in a block that is timed")
    add("--repeats", type=terminal.whole(1), default=4, help="blocks of each kind in a process")
    add("--rounds", type=terminal.whole(1), default=5, help="processes per row; ratios need 5")
    add("--seed", type=terminal.whole(0), default=0, help="the first one")
    add("--data", type=Path, metavar="DIR", help="made by python -m training.data: accuracies")
    add("--epochs", type=terminal.whole(1), default=5, help="of each training for the accuracies")
    help_limit = "of each part of the data, N images alone"
    add("--limit", type=terminal.whole(1), metavar="N", help=help_limit)
    add("--seeds", type=terminal.whole(1), default=3, help="trainings per row")
    add_pythons(parser)
    add_output(parser)


def run(args: argparse.Namespace) -> int:
    """Time training steps beside a bare loop, in every mode; with --data, their accuracy too."""
    from benchmarks.experiments.train import measure
    from training.data import cifar

    options = pick(measure.Options, args)
    if args.dry_run:
        trainings = 0 if args.data is None else args.seeds * len(measure.MODES)
        more = f", and {trainings} trainings of {args.epochs} epochs" if trainings else ""
        return dry_run(measure.planned(options), options.rounds, more)
    if args.data is not None:
        cifar.load(args.data, "test")  # now, not after the speeds were measured
    work = partial(measure.measure, options, terminal.progress)
    return measured(args, work, itemgetter("rows"))
