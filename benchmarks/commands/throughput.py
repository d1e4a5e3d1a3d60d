"""``python -m benchmarks throughput``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields

from benchmarks.commands.options import add_output, destination, keep
from benchmarks.experiments.throughput import measure
from benchmarks.grid.cells import RESNETS
from weight_port import terminal


def throughput(arguments: Sequence[str]) -> int:
    """Images per second of several processes at once, one per GPU or on shares of the CPU."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks throughput",
        description=throughput.__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--model", choices=RESNETS, default="resnet50", help="eager, float32")
    add("--workers", type=terminal.whole(2), default=2, help="processes at once, against one alone")
    add("--batch", type=terminal.whole(1), default=8, help="images per pass of each process")
    add("--passes", type=terminal.whole(1), default=20, help="timed passes of each process")
    add("--rounds", type=terminal.whole(1), default=3, help="launches per row")
    add("--size", type=terminal.whole(32), default=224, help="height and width of the images")
    add("--device", choices=("auto", "cpu", "gpu"), default="auto")
    add("--seed", type=terminal.whole(0), default=0, help="of weights and images")
    add_output(parser)
    chosen = parser.parse_args(arguments)
    file = destination(parser, chosen)
    names = [field.name for field in fields(measure.Options)]
    options = measure.Options(**{name: getattr(chosen, name) for name in names})
    done = measure.measure(options, terminal.progress)
    return keep(file, done, chosen, done["rows"])
