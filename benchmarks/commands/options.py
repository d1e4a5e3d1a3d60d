"""What the commands' options have in common, and how a command ends: record, tables, status."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from benchmarks import kinds
from benchmarks.experiments.forward import table
from benchmarks.records import record
from weight_port import WeightPortError
from weight_port.storage import disk

DEFAULT_FOLDER = Path("build", "benchmarks")


def list_of(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """A type for argparse: names from ``known``, separated by commas."""

    def parse(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(text.split(",")))
        unknown = [name for name in names if name not in known]
        if unknown:
            wrong = ", ".join(map(repr, unknown))
            raise argparse.ArgumentTypeError(f"unknown {wrong}: choose from {', '.join(known)}")
        return names

    return parse


def whole(minimum: int) -> Callable[[str], int]:
    """A type for argparse: a whole number, at least ``minimum``."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {minimum} on")
        return int(text)

    return parse


def numbers(minimum: int) -> Callable[[str], tuple[int, ...]]:
    """A type for argparse: whole numbers, at least ``minimum``, separated by commas."""

    def parse(text: str) -> tuple[int, ...]:
        return tuple(dict.fromkeys(whole(minimum)(part) for part in text.split(",")))

    return parse


def seconds(text: str) -> float:
    """A type for argparse: a positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number of seconds")
    return value


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


def say(line: str) -> None:
    """A line of progress."""
    print(line, file=sys.stderr, flush=True)


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
    say(f"{file}: written" + (f"; {failed} of {len(rows)} rows failed" if rows else ""))
    return 1 if failed else 0
