"""``python -m benchmarks port``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.commands.options import DEFAULT_FOLDER, add_output, destination, keep
from benchmarks.grid.cells import RESNETS
from weight_port import terminal


def port(arguments: Sequence[str]) -> int:
    """Time conversions of a checkpoint beside cp and the frameworks' own route."""
    from benchmarks.experiments.port import measure

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks port",
        description=port.__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--model", choices=RESNETS, default="resnet152", help="converted in every way")
    add("--rounds", type=terminal.whole(1), default=5, help="processes per row; ratios need 5")
    add("--seed", type=terminal.whole(0), default=0, help="of the weights")
    add_output(parser)
    chosen = parser.parse_args(arguments)
    file = destination(parser, chosen)
    options = measure.Options(chosen.model, chosen.rounds, chosen.seed)
    done = measure.measure(options, DEFAULT_FOLDER, terminal.progress)
    return keep(file, done, chosen, (*done["commands"], *done["memory"]))
