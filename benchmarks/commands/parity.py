"""``python -m benchmarks parity``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.commands.options import DEFAULT_FOLDER, add_output, destination, keep
from benchmarks.grid.cells import RESNETS
from weight_port import terminal


def parity(arguments: Sequence[str]) -> int:
    """Time a parity run beside the two frameworks' bare forward passes."""
    from benchmarks.experiments.parity_cost import measure

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks parity",
        description=parity.__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--model", choices=RESNETS, default="resnet50", help="timed")
    add("--deep", choices=RESNETS, default="resnet152", help="whose run's memory is looked at")
    add("--size", type=terminal.whole(32), default=224, help="height and width of the images")
    add("--rounds", type=terminal.whole(1), default=5, help="processes per row; the ratio needs 5")
    add("--seed", type=terminal.whole(0), default=0, help="of weights and images")
    add_output(parser)
    chosen = parser.parse_args(arguments)
    file = destination(parser, chosen)
    options = measure.Options(chosen.model, chosen.deep, chosen.size, chosen.rounds, chosen.seed)
    done = measure.measure(options, DEFAULT_FOLDER, terminal.progress)
    return keep(file, done, chosen, (*done["commands"], done["memory"]))
