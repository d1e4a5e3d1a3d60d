"""The commands that take records apart from a run: ``compare`` and ``merge``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import kinds
from benchmarks.compare import compare as comparison
from benchmarks.compare.merge import merge as merge_records
from benchmarks.experiments.forward import table
from benchmarks.records import record
from weight_port import WeightPortError, terminal
from weight_port.storage import disk


def _passes(file: Path) -> record.Record:
    """A record of passes of models. Raises RecordError for another kind."""
    found = kinds.read(file)
    if kinds.kind(found) != "forward":
        raise record.RecordError(f"{file}: a record of {kinds.kind(found)}, not of passes")
    return found


def compare(arguments: Sequence[str]) -> int:
    """Say of every cell whether B is SLOWER than A, FASTER, the SAME, or AMBIGUOUS.

    Exit status: 1 where a cell is slower or newly fails, 2 where the records can't be compared.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks compare", description=compare.__doc__
    )
    parser.add_argument("before", type=Path, metavar="A")
    parser.add_argument("after", type=Path, metavar="B")
    parser.add_argument(
        "--threshold",
        type=terminal.percentage,
        default=comparison.THRESHOLD,
        metavar="PERCENT",
        help="a difference up to this is none; 5 if not given",
    )
    parser.add_argument("--format", choices=list(comparison.FORMATS), default="simple")
    chosen = parser.parse_args(arguments)
    try:
        before, after = _passes(chosen.before), _passes(chosen.after)
        devices = [found["settings"]["device"] for found in (before, after)]
        if len(set(devices)) > 1:
            raise record.RecordError(f"{devices[0]} and {devices[1]}: no two cells are alike")
        rows = comparison.rows(before, after, chosen.threshold)
    except record.RecordError as error:
        parser.error(str(error))
    if not rows:
        parser.error("neither record has a cell")
    lines = comparison.notices(before, after, chosen.threshold)
    print(comparison.FORMATS[chosen.format](rows, lines))
    if chosen.format == "csv":
        print(*lines, sep="\n", end="\n" if lines else "", file=sys.stderr)
    return int(comparison.is_worse(rows))


def merge(arguments: Sequence[str]) -> int:
    """Make one record of several that were measured alike; equal cells pool their processes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks merge", description=merge.__doc__)
    parser.add_argument("records", type=Path, nargs="+", metavar="RECORD")
    parser.add_argument("--json", type=Path, metavar="OUT", required=True, help="where it goes")
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    parser.add_argument("--format", choices=list(table.FORMATS), default="simple")
    chosen = parser.parse_args(arguments)
    if len(chosen.records) < 2:
        parser.error("one record alone: name two or more")
    try:
        disk.check_destination(chosen.json, chosen.force)
    except (WeightPortError, OSError) as error:
        parser.error(str(error))
    done = merge_records([(str(file), _passes(file)) for file in chosen.records])
    kinds.write(chosen.json, done, chosen.force)
    print(table.render(done, chosen.format))
    count = f"{len(chosen.records)} records, {len(done['cells'])} cells"
    print(f"{chosen.json}: written; {count}", file=sys.stderr)
    return 0
