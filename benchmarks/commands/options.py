"""What the commands' options have in common, and how a command ends: record, tables, status."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from benchmarks import kinds
from benchmarks.experiments.forward import table
from benchmarks.records import record
from weight_port import WeightPortError, terminal
from weight_port.storage import disk

DEFAULT_FOLDER = Path("build", "benchmarks")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Where the record goes, and what is printed of it."""
    where = "where the record goes; a dated file if not given"
    parser.add_argument("--json", type=Path, metavar="FILE", help=where)
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    parser.add_argument("--format", choices=list(table.FORMATS), default="simple")


def destination(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> Path:
    """Where the record will go; wrong usage where it can't: now, not after it was measured."""
    try:
        file: Path = chosen.json or _default_file()
        disk.check_destination(file, chosen.force)
    except (WeightPortError, OSError) as error:
        parser.error(str(error))
    return file


def _default_file() -> Path:
    DEFAULT_FOLDER.mkdir(parents=True, exist_ok=True)
    return DEFAULT_FOLDER / f"{datetime.now(timezone.utc):%Y-%m-%dT%H-%M-%SZ}.json"


def keep(
    file: Path,
    done: record.Record,
    chosen: argparse.Namespace,
    rows: Sequence[record.Record],
    render: kinds.Render | None = None,
) -> int:
    """Write a record and print its tables; returns the exit status.

    ``rows`` is what may have failed; ``render`` is another than the kind's own.
    """
    kinds.write(file, done, chosen.force)
    print((render or kinds.render(kinds.kind(done)))(done, chosen.format))
    failed = sum(row["error"] is not None for row in rows)
    terminal.progress(
        f"{file}: written" + (f"; {failed} of {len(rows)} rows failed" if rows else "")
    )
    return 1 if failed else 0
