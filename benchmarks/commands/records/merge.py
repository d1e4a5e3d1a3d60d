"""``python -m benchmarks merge``: several records of forward passes made into one."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.commands.options import Commands, add_command, add_format
from benchmarks.records.record import RecordError
from weight_port import terminal
from weight_port.storage import disk


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "merge", run)
    parser.add_argument("records", type=Path, nargs="+", metavar="RECORD")
    parser.add_argument("--json", type=Path, metavar="OUT", required=True, help="where it goes")
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    add_format(parser)


def run(args: argparse.Namespace) -> int:
    """Make one record of several that were measured alike; equal cells pool their processes."""
    from benchmarks import kinds
    from benchmarks.compare.merge import merge

    if len(args.records) < 2:
        raise RecordError(f"{args.records[0]}: one record alone: name two or more")
    disk.check_destination(args.json, args.force)
    record = merge([(str(file), kinds.read_passes(file, "merge takes")) for file in args.records])
    kinds.write(args.json, record, args.force)
    print(kinds.render(record, args.format))
    count = f"{len(args.records)} records, {len(record['cells'])} cells"
    terminal.progress(f"{args.json}: written; {count}")
    return 0
