"""``python -m benchmarks plot``: a record as pictures."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.commands.options import Commands, add_command
from weight_port import DestinationError, terminal
from weight_port.storage import disk

FORMATS = ("svg", "png")


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "plot", run)
    parser.add_argument("record", type=Path, metavar="RECORD")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="made if not there")
    parser.add_argument("--format", choices=FORMATS, default="svg")
    parser.add_argument("--force", action="store_true", help="replace pictures that exist")


def run(args: argparse.Namespace) -> int:
    """Draw a record: throughput, latency, share of the peak, error against speed."""
    from benchmarks import kinds
    from benchmarks.report import pictures

    record = kinds.read_passes(args.record, "a picture shows")
    paths = {name: args.out / f"{name}.{args.format}" for name in pictures.PICTURES}
    _make_folder(args.out)
    for path in paths.values():  # all or none
        disk.check_destination(path, args.force)
    drawn = [_draw(record, name, path, args.force) for name, path in paths.items()]
    return 0 if any(drawn) else 1


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DestinationError(f"{folder}: can't be made: {error.strerror}") from None


def _draw(record: Mapping[str, Any], name: str, path: Path, force: bool) -> bool:
    """Draw one picture and say what is not in it; whether there was anything to draw."""
    from benchmarks.report import pictures

    count, whole = pictures.draw(record, name, path, force), len(record["cells"])
    why = f"{count} of {whole} rows have {pictures.PICTURES[name][2]}"
    less = f"; {why}" if count < whole else ""
    terminal.progress(f"{path}: written{less}" if count else f"{path}: not drawn: {why}")
    return count > 0
