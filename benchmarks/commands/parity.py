"""``python -m benchmarks parity``: what a parity run costs."""

from __future__ import annotations

import argparse
from functools import partial

from benchmarks.commands.options import (
    DEFAULT_FOLDER,
    Commands,
    add_command,
    add_output,
    add_size,
    dry_run,
    measured,
    pick,
)
from benchmarks.grid.cells import RESNETS
from weight_port import terminal


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "parity", run)
    add = parser.add_argument
    add("--model", choices=RESNETS, default="resnet50", help="timed")
    add("--deep", choices=RESNETS, default="resnet152", help="whose run's memory is looked at")
    add_size(parser)
    add("--rounds", type=terminal.whole(1), default=5, help="processes per row; the ratio needs 5")
    add("--seed", type=terminal.whole(0), default=0, help="of weights and images")
    add_output(parser)


def run(args: argparse.Namespace) -> int:
    """Time a parity run beside the two frameworks' bare forward passes."""
    from benchmarks.experiments.parity_cost import measure

    options = pick(measure.Options, args)
    if args.dry_run:
        return dry_run(measure.planned(options), options.rounds, ", and the memory of one more")
    work = partial(measure.measure, options, DEFAULT_FOLDER, terminal.progress)
    return measured(args, work, lambda record: (*record["commands"], record["memory"]))
