"""``python -m benchmarks latency``: how long queries wait, in MLPerf's four scenarios."""

from __future__ import annotations

import argparse
from functools import partial
from operator import itemgetter

from benchmarks.commands.options import (
    Commands,
    add_command,
    add_device,
    add_names,
    add_output,
    add_pythons,
    add_size,
    dry_run,
    measured,
)
from benchmarks.grid import cells
from benchmarks.grid.cells import RESNETS
from benchmarks.harness.frameworks import RunError
from parity.workers.launch import available_threads
from weight_port import terminal

SCENARIOS = ("single-stream", "multi-stream", "offline", "server")
LOADS = (0.5, 0.7, 0.9)  # where nothing is asked
ROWS = tuple(name for name, where in cells.IMPLEMENTATIONS.items() if where != "engines")


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "latency", run)
    add = parser.add_argument
    add("model", choices=RESNETS, metavar="MODEL", help=", ".join(RESNETS))
    add_names(parser, "--scenario", SCENARIOS, SCENARIOS)
    add_names(parser, "--implementations", ROWS, ("pytorch_impl", "paddle_impl"))
    add_names(parser, "--modes", cells.ALL_MODES, ("eager",))
    usual = ",".join(map(str, LOADS))
    help_load = f"of server: shares of what it can do at most; {usual} without --rate"
    add("--load", type=_positives, default=(), metavar="X,Y,…", help=help_load)
    help_rate = "of server: queries per second, the same in both frameworks"
    add("--rate", type=_positives, default=(), metavar="X,Y,…", help=help_rate)
    add("--batch", type=terminal.wholes(1), default="1,8,32", metavar="N,M,…", help="of offline")
    help_queries = "of each process; p99 needs 300 in a row"
    add("--queries", type=terminal.whole(2), default=100, help=help_queries)
    add("--rounds", type=terminal.whole(1), default=3, help="processes per row")
    add_size(parser)
    add("--threads", type=terminal.whole(1), default=available_threads())
    add_device(parser)
    add("--seed", type=terminal.whole(0), default=0, help="of weights, images and arrivals")
    add_pythons(parser)
    add_output(parser)


def run(args: argparse.Namespace) -> int:
    """How long queries wait for their answers: one by one, eight at a time, all at once, served."""
    from benchmarks.experiments.latency import measure

    options = measure.Options(
        model=args.model,
        scenarios=args.scenario,
        implementations=args.implementations,
        modes=args.modes,
        batches=args.batch,
        loads=args.load or (() if args.rate else LOADS),
        rates=args.rate,
        queries=args.queries,
        rounds=args.rounds,
        size=args.size,
        threads=args.threads,
        seed=args.seed,
        device=args.device,
    )
    if not measure.cases(options):
        raise RunError(f"none of {', '.join(args.implementations)} has such a mode")
    if args.dry_run:
        return dry_run(measure.planned(options), options.rounds)
    work = partial(measure.measure, options, terminal.progress)
    return measured(args, work, itemgetter("rows"))


def _positives(text: str) -> tuple[float, ...]:
    """A type for argparse: numbers above 0, separated by commas; each once."""
    return tuple(dict.fromkeys(terminal.positive(part) for part in text.split(",")))
