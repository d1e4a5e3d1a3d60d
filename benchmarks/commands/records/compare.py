"""``python -m benchmarks compare``: two records of forward passes, cell by cell."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.commands.options import Commands, add_command, add_format
from weight_port import terminal


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "compare", run)
    parser.add_argument("before", type=Path, metavar="A")
    parser.add_argument("after", type=Path, metavar="B")
    help_threshold = "a difference up to this is none; 5 if not given"
    parser.add_argument(
        "--threshold", type=terminal.percentage, metavar="PERCENT", help=help_threshold
    )
    add_format(parser)


def run(args: argparse.Namespace) -> int:
    """Say of every cell whether B is SLOWER than A, FASTER, the SAME, or AMBIGUOUS.

    Exit status: 1 where a cell is slower or newly fails, 2 where the records can't be compared.
    """
    from benchmarks import kinds
    from benchmarks.compare import compare

    before, after = (kinds.read_passes(file, "compare takes") for file in (args.before, args.after))
    threshold = compare.THRESHOLD if args.threshold is None else args.threshold
    cells = compare.rows(before, after, threshold)
    notices = compare.notices(before, after, threshold)
    print(compare.render(cells, notices, args.format))
    if args.format == "csv":
        for notice in notices:
            terminal.progress(notice)
    return int(compare.is_worse(cells))
