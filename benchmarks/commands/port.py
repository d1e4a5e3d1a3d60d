"""``python -m benchmarks port``: what a conversion costs."""

from __future__ import annotations

import argparse
from functools import partial

from benchmarks.commands.options import (
    DEFAULT_FOLDER,
    Commands,
    add_command,
    add_output,
    dry_run,
    measured,
    pick,
)
from benchmarks.grid.cells import RESNETS
from weight_port import terminal


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "port", run)
    add = parser.add_argument
    add("--model", choices=RESNETS, default="resnet152", help="converted in every way")
    add("--rounds", type=terminal.whole(1), default=5, help="processes per row; ratios need 5")
    add("--seed", type=terminal.whole(0), default=0, help="of the weights")
    add_output(parser)


def run(args: argparse.Namespace) -> int:
    """Time conversions of a checkpoint beside cp and the frameworks' own route."""
    from benchmarks.experiments.port import measure

    options = pick(measure.Options, args)
    if args.dry_run:
        return dry_run(measure.planned(options), options.rounds, ", and the memory of 36 more")
    work = partial(measure.measure, options, DEFAULT_FOLDER, terminal.progress)
    return measured(args, work, lambda record: (*record["commands"], *record["memory"]))
