"""``python -m benchmarks``: time forward passes, or what a command names; show and plot records.

Exit status: 0 every row passed parity and was timed, 1 a row failed (``compare``: one is slower;
``selftest``: a target was missed), 2 wrong usage or not possible, 130 interrupted. Nothing that
takes time to import is imported before a command runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.commands import (
    forward,
    gpu,
    latency,
    layers,
    parity,
    port,
    selftest,
    throughput,
    train,
)
from benchmarks.commands.options import Formatter
from benchmarks.commands.records import compare, merge, plot, show
from benchmarks.grid.suites import SuiteError
from benchmarks.harness.frameworks import RunError
from benchmarks.records.record import RecordError
from parity.workers.launch import WorkerError
from training.errors import DataError
from weight_port import WeightPortError, terminal

COMMANDS = (
    *(forward, show, plot, compare, merge),
    *(port, parity, layers, selftest, throughput, latency, train),
    *(gpu, gpu.Reference),
)
ERRORS = (
    RunError,
    WorkerError,
    RecordError,
    SuiteError,
    DataError,
    WeightPortError,
    OSError,
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time forward passes of a grid that the options describe, each row's outputs "
        "compared with a float64 reference first; or do what COMMAND says, with options of its "
        "own (COMMAND --help).",
        formatter_class=Formatter,
    )
    terminal.add_version(parser)
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    forward.add_grid(parser)
    return parser


def _run(arguments: Sequence[str]) -> int:
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.command and arguments[0] != args.command:
        parser.error(f"{arguments[0]} is an option of the grid: {args.command} has its own")
    status: int = args.run(args)
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return terminal.run("benchmarks", lambda: _run(given), ERRORS)


if __name__ == "__main__":
    raise SystemExit(terminal.until_closed(main))
