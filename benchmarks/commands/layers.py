"""The command ``layers``: every step of a network in both frameworks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from functools import partial

from benchmarks.commands.options import add_output, destination, keep
from benchmarks.experiments.layers import measure
from benchmarks.experiments.layers import rows as layers_rows
from benchmarks.experiments.layers import table as layers_table
from benchmarks.grid.cells import LAYOUTS, RESNETS
from parity.workers.launch import available_threads
from weight_port import terminal


def layers(arguments: Sequence[str]) -> int:
    """Time every step of a network by itself, in both frameworks side by side."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks layers",
        description=layers.__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("model", choices=RESNETS, metavar="MODEL", help=", ".join(RESNETS))
    add("--batch", type=terminal.whole(1), default=1, help="images per forward pass")
    add("--size", type=terminal.whole(32), default=224, help="height and width of the images")
    add("--threads", type=terminal.whole(1), default=available_threads())
    add("--device", choices=("auto", "cpu", "gpu"), default="auto")
    add("--layout", choices=LAYOUTS, default="NCHW", help="of both frameworks' tensors")
    add(
        "--rounds",
        type=terminal.whole(1),
        default=3,
        help="processes per framework; verdicts need 5",
    )
    add("--seed", type=terminal.whole(0), default=0, help="of weights and images")
    help_sort = "by execution, or where the frameworks' times differ most first"
    add("--sort", choices=list(layers_table.SORTS), default="order", help=help_sort)
    add_output(parser)
    chosen = parser.parse_args(arguments)
    file = destination(parser, chosen)
    names = [field.name for field in fields(measure.Options)]
    options = measure.Options(**{name: getattr(chosen, name) for name in names})
    done = measure.measure(options, terminal.progress)
    render = partial(layers_table.render, sort=chosen.sort)
    return keep(file, done, chosen, layers_rows.rows(done), render)
