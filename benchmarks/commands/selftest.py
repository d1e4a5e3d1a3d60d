"""``python -m benchmarks selftest``: the tool's own false alarms and misses."""

from __future__ import annotations

import argparse

from benchmarks.commands.options import Commands, add_command, add_output, destination, keep
from weight_port import terminal


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "selftest", run)
    help_seconds = "of the whole run"
    parser.add_argument("--max-seconds", type=terminal.whole(1), default=300, help=help_seconds)
    add_output(parser, lasts=False)


def run(args: argparse.Namespace) -> int:
    """Measure how often equal cells are called different, and planted slowdowns found."""
    from benchmarks.experiments.selftest import measure, rows

    file = destination(args)
    record = measure.measure(args.max_seconds, terminal.progress)
    missed = rows.missed(record)
    keep(file, record, args, (), args.force)
    if missed:
        terminal.progress(f"targets missed: {', '.join(missed)}")
    return 1 if missed else 0
