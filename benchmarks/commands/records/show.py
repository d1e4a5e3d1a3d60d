"""``python -m benchmarks show``: a record's tables, or its page."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.commands.options import Commands, add_command, add_format
from benchmarks.records.record import RecordError
from weight_port import terminal
from weight_port.storage import disk

SORTS = ("order", "difference")  # of a record of layers


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "show", run)
    parser.add_argument("record", type=Path, metavar="RECORD")
    add_format(parser, "html")
    help_table = "this one of the record's tables alone, by its name in --format json"
    parser.add_argument("--table", metavar="NAME", help=help_table)
    parser.add_argument("--sort", choices=SORTS, help="of a record of layers")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there instead of printing")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")


def run(args: argparse.Namespace) -> int:
    """Print a record's tables, or its page as HTML."""
    text = _text(args)
    if args.out is None:
        print(text)
        return 0
    disk.write_text(args.out, f"{text}\n", args.force)
    terminal.progress(f"{args.out}: written")
    return 0


def _text(args: argparse.Namespace) -> str:
    from benchmarks import kinds

    if args.format == "html":
        from benchmarks.report import page

        return page.render(kinds.read_passes(args.record, "a page shows"))
    record = kinds.read(args.record)
    if args.sort is None:
        return kinds.render(record, args.format, args.table)
    if (kind := kinds.kind(record)) != "layers":
        raise RecordError(f"{args.record}: --sort is for records of layers, not of {kind}")
    return kinds.render(record, args.format, args.table, sort=args.sort)
