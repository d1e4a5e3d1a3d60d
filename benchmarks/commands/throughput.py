"""``python -m benchmarks throughput``: several processes at once."""

from __future__ import annotations

import argparse
from functools import partial
from operator import itemgetter

from benchmarks.commands.options import (
    Commands,
    add_command,
    add_device,
    add_output,
    add_pythons,
    add_size,
    dry_run,
    measured,
    pick,
)
from benchmarks.grid.cells import RESNETS
from weight_port import terminal


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "throughput", run)
    add = parser.add_argument
    add("--model", choices=RESNETS, default="resnet50", help="eager, float32")
    add("--workers", type=terminal.whole(2), default=2, help="processes at once, against one alone")
    add("--batch", type=terminal.whole(1), default=8, help="images per pass of each process")
    add("--passes", type=terminal.whole(1), default=20, help="timed passes of each process")
    add("--rounds", type=terminal.whole(1), default=3, help="launches per row")
    add_size(parser)
    add_device(parser)
    add("--seed", type=terminal.whole(0), default=0, help="of weights and images")
    add_pythons(parser)
    add_output(parser)


def run(args: argparse.Namespace) -> int:
    """Images per second of several processes at once, one per GPU or on shares of the CPU."""
    from benchmarks.experiments.throughput import measure

    options = pick(measure.Options, args)
    if args.dry_run:
        return dry_run(measure.planned(options), options.rounds)
    work = partial(measure.measure, options, terminal.progress)
    return measured(args, work, itemgetter("rows"))
