"""``python -m benchmarks show`` and ``plot``: a record as a table, a page or pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import kinds
from benchmarks.experiments.forward import table
from benchmarks.experiments.layers import table as layers_table
from benchmarks.records import record
from benchmarks.report import page, pictures
from weight_port import DestinationError
from weight_port.storage import disk


def _of_passes(path: Path, what: str) -> record.Record:
    """The record in a file. Raises RecordError for one of another kind."""
    found = kinds.read(path)
    if (kind := kinds.kind(found)) != "forward":
        raise record.RecordError(f"{path}: {what} shows records of forward passes, not of {kind}")
    return found


def _text(path: Path, style: str, sort: str | None) -> str:
    if style == "html":
        return page.render(_of_passes(path, "a page"))
    found = kinds.read(path)
    kind = kinds.kind(found)
    if sort is None:
        return kinds.render(kind)(found, style)
    if kind != "layers":
        raise record.RecordError(f"{path}: --sort is for records of layers, not of {kind}")
    return layers_table.render(found, style, sort)


def show(arguments: Sequence[str]) -> int:
    """Print a record's tables, or its page as HTML."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks show", description=show.__doc__)
    parser.add_argument("record", type=Path, metavar="RECORD")
    parser.add_argument("--format", choices=[*table.FORMATS, "html"], default="simple")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there instead of printing")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    parser.add_argument("--sort", choices=list(layers_table.SORTS), help="of a record of layers")
    chosen = parser.parse_args(arguments)
    text = _text(chosen.record, chosen.format, chosen.sort)
    if chosen.out is None:
        print(text)
        return 0
    with disk.new_file(chosen.out, chosen.force) as stream:
        stream.write(f"{text}\n".encode())
    print(f"{chosen.out}: written", file=sys.stderr)
    return 0


def plot(arguments: Sequence[str]) -> int:
    """Draw a record: throughput, latency, share of the peak, error against speed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks plot", description=plot.__doc__)
    parser.add_argument("record", type=Path, metavar="RECORD")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="made if not there")
    parser.add_argument("--format", choices=pictures.FORMATS, default="svg")
    parser.add_argument("--force", action="store_true", help="replace pictures that exist")
    chosen = parser.parse_args(arguments)
    found = _of_passes(chosen.record, "a picture")
    paths = {name: chosen.out / f"{name}.{chosen.format}" for name in pictures.PICTURES}
    _make_folder(chosen.out)
    for path in paths.values():  # all or none
        disk.check_destination(path, chosen.force)
    drawn = [_draw(found, name, path, chosen.force) for name, path in paths.items()]
    return 0 if any(drawn) else 1


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DestinationError(f"{folder}: can't be made: {error.strerror}") from None


def _draw(found: record.Record, name: str, path: Path, force: bool) -> bool:
    """Draw one picture and say what is not in it; whether there was anything to draw."""
    count, whole = pictures.draw(found, name, path, force), len(found["cells"])
    why = f"{count} of {whole} rows have {pictures.PICTURES[name][2]}"
    less = f"; {why}" if count < whole else ""
    print(f"{path}: written{less}" if count else f"{path}: not drawn: {why}", file=sys.stderr)
    return count > 0


def page_beside(file: Path, force: bool) -> Path:
    """Where a run's page will go: beside its record. Raises DestinationError where it can't."""
    path = file.with_suffix(".html")
    if path == file:
        raise DestinationError(f"{file}: the page's name; give the record another, as FILE.json")
    disk.check_destination(path, force)
    return path
