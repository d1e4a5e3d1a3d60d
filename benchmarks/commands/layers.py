"""``python -m benchmarks layers``: every step of a network in both frameworks."""

from __future__ import annotations

import argparse
from functools import partial

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
from benchmarks.commands.records.show import SORTS
from benchmarks.grid.cells import LAYOUTS, RESNETS
from parity.workers.launch import available_threads
from weight_port import terminal


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "layers", run)
    add = parser.add_argument
    add("model", choices=RESNETS, metavar="MODEL", help=", ".join(RESNETS))
    add("--batch", type=terminal.whole(1), default=1, help="images per forward pass")
    add_size(parser)
    add("--threads", type=terminal.whole(1), default=available_threads())
    add_device(parser)
    add("--layout", choices=LAYOUTS, default="NCHW", help="of both frameworks' tensors")
    help_rounds = "processes per framework; verdicts need 5"
    add("--rounds", type=terminal.whole(1), default=3, help=help_rounds)
    add("--seed", type=terminal.whole(0), default=0, help="of weights and images")
    help_sort = "by execution, or where the frameworks' times differ most first"
    add("--sort", choices=SORTS, default="order", help=help_sort)
    add_pythons(parser)
    add_output(parser)


def run(args: argparse.Namespace) -> int:
    """Time every step of a network by itself, in both frameworks side by side."""
    from benchmarks.experiments.layers import measure, rows

    options = pick(measure.Options, args)
    if args.dry_run:
        return dry_run(measure.planned(options), options.rounds)
    work = partial(measure.measure, options, terminal.progress)
    return measured(args, work, rows.rows, sort=args.sort)
