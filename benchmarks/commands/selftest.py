"""``python -m benchmarks selftest``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.commands.options import add_output, destination, keep
from benchmarks.experiments.selftest import measure, rows
from weight_port import terminal


def selftest(arguments: Sequence[str]) -> int:
    """Measure how often equal cells are called different, and planted slowdowns found."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks selftest",
        description=selftest.__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--max-seconds", type=terminal.whole(1), default=300, help="of the whole run"
    )
    add_output(parser)
    chosen = parser.parse_args(arguments)
    file = destination(parser, chosen)
    done = measure.measure(chosen.max_seconds, terminal.progress)
    missed = rows.missed(done)
    keep(file, done, chosen, ())
    if missed:
        terminal.progress(f"targets missed: {', '.join(missed)}")
    return 1 if missed else 0
