"""The command ``latency``: how long queries wait, in MLPerf's four scenarios."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

from benchmarks.commands.options import add_output, destination, keep
from benchmarks.experiments.latency import measure, scenarios
from benchmarks.grid import cells
from benchmarks.grid.cells import RESNETS
from parity.workers.launch import available_threads
from weight_port import terminal

LOADS = (0.5, 0.7, 0.9)  # where nothing is asked


def latency(arguments: Sequence[str]) -> int:
    """How long queries wait for their answers: one by one, eight at a time, all at once, served."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks latency",
        description=latency.__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    known = tuple(scenarios.SCENARIOS)
    rows = tuple(name for name in cells.IMPLEMENTATIONS if cells.IMPLEMENTATIONS[name] != "engines")
    lists: tuple[tuple[str, Sequence[str], str], ...] = (
        ("--scenario", known, ",".join(known)),
        ("--implementations", rows, "pytorch_impl,paddle_impl"),
        ("--modes", cells.ALL_MODES, "eager"),
    )
    add("model", choices=RESNETS, metavar="MODEL", help=", ".join(RESNETS))
    for option, names, usual in lists:
        add(
            option,
            type=terminal.names(names),
            default=usual,
            metavar="A,B,…",
            help=", ".join(names),
        )
    usual_loads = ",".join(map(str, LOADS))
    help_load = f"of server: shares of what it can do at most; {usual_loads} without --rate"
    add("--load", type=_positive, default=(), metavar="X,Y,…", help=help_load)
    help_rate = "of server: queries per second, the same in both frameworks"
    add("--rate", type=_positive, default=(), metavar="X,Y,…", help=help_rate)
    add("--batch", type=terminal.wholes(1), default="1,8,32", metavar="N,M,…", help="of offline")
    add(
        "--queries",
        type=terminal.whole(2),
        default=100,
        help="of each process; p99 needs 300 in a row",
    )
    add("--rounds", type=terminal.whole(1), default=3, help="processes per row")
    add("--size", type=terminal.whole(32), default=224, help="height and width of the images")
    add("--threads", type=terminal.whole(1), default=available_threads())
    add("--device", choices=("auto", "cpu", "gpu"), default="auto")
    add("--seed", type=terminal.whole(0), default=0, help="of weights, images and arrivals")
    add_output(parser)
    chosen = parser.parse_args(arguments)
    options = measure.Options(
        model=chosen.model,
        scenarios=chosen.scenario,
        implementations=chosen.implementations,
        modes=chosen.modes,
        batches=chosen.batch,
        loads=chosen.load or (() if chosen.rate else LOADS),
        rates=chosen.rate,
        queries=chosen.queries,
        rounds=chosen.rounds,
        size=chosen.size,
        threads=chosen.threads,
        seed=chosen.seed,
        device=chosen.device,
    )
    if not measure.asked(options):
        parser.error(f"none of {', '.join(chosen.implementations)} has such a mode")
    file = destination(parser, chosen)
    done = measure.measure(options, terminal.progress)
    return keep(file, done, chosen, done["rows"])


def _positive(text: str) -> tuple[float, ...]:
    """A type for argparse: positive numbers, separated by commas."""
    found = []
    for part in text.split(","):
        try:
            found.append(float(part))
        except ValueError:
            found.append(math.nan)
        if not 0 < found[-1] < math.inf:
            raise argparse.ArgumentTypeError(f"{part!r} is no positive number, as 0.7")
    return tuple(dict.fromkeys(found))
