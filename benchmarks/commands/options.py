"""What the commands' options have in common, and how a command ends: record, tables, status."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from benchmarks.records.tables import FORMATS
from weight_port import terminal
from weight_port.storage import disk

DEFAULT_FOLDER = Path("build", "benchmarks")
# What add_subparsers gives; in quotes, since it is generic for a type checker alone.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Options = TypeVar("Options")
Run = Callable[[argparse.Namespace], int]


class Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Help with each option's default, where it has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        is_given = action.default is not None and action.default not in (False, ())
        return super()._get_help_string(action) if is_given else action.help


def add_command(commands: Commands, name: str, run: Run) -> argparse.ArgumentParser:
    """A parser of a command; the first sentence of what it runs is its line in --help."""
    what = run.__doc__ or ""
    parser = commands.add_parser(
        name,
        help=what.partition(".")[0],
        description=what,
        formatter_class=Formatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_names(
    parser: argparse.ArgumentParser, option: str, known: Sequence[str], usual: Iterable[str]
) -> None:
    """An option that takes some of ``known``; ``usual`` where it is not given."""
    parser.add_argument(
        option,
        type=terminal.names(known),
        default=",".join(usual),
        metavar="A,B,…",
        help=", ".join(known),
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """The device, one for all rows."""
    parser.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto")


def add_size(parser: argparse.ArgumentParser) -> None:
    """The size of the images: no network takes less than 32 pixels."""
    help_size = "height and width of the images"
    parser.add_argument("--size", type=terminal.whole(32), default=224, help=help_size)


def add_output(parser: argparse.ArgumentParser) -> None:
    """Where the record goes, and what is printed of it."""
    where = "where the record goes; a dated file if not given"
    parser.add_argument("--json", type=Path, metavar="FILE", help=where)
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    add_format(parser)


def add_format(parser: argparse.ArgumentParser, *more: str) -> None:
    """The format of the tables, and ``more``."""
    help_format = "csv and json have the values, unrounded; csv those of the first table"
    parser.add_argument("--format", choices=(*FORMATS, *more), default="simple", help=help_format)


def pick(options: Callable[..., Options], args: argparse.Namespace) -> Options:
    """``options``, a dataclass, with the arguments that its fields name."""
    return options(**{field.name: getattr(args, field.name) for field in fields(options)})  # type: ignore[arg-type]


def destination(args: argparse.Namespace) -> Path:
    """Where the record will go: checked now, not after it was measured.

    Raises weight_port.DestinationError where it can't go there.
    """
    file: Path = args.json or _default_file()
    disk.check_destination(file, args.force)
    return file


def _default_file() -> Path:
    DEFAULT_FOLDER.mkdir(parents=True, exist_ok=True)
    return DEFAULT_FOLDER / f"{datetime.now(timezone.utc):%Y-%m-%dT%H-%M-%SZ}.json"


def keep(
    file: Path,
    record: dict[str, Any],
    args: argparse.Namespace,
    rows: Sequence[dict[str, Any]],
    **options: Any,
) -> int:
    """Write a record and print its tables; returns the exit status.

    ``rows`` is what may have failed; ``options`` are those of ``kinds.render``.
    """
    from benchmarks import kinds

    kinds.write(file, record, args.force)
    print(kinds.render(record, args.format, **options))
    failed = sum(row["error"] is not None for row in rows)
    terminal.progress(
        f"{file}: written" + (f"; {failed} of {len(rows)} rows failed" if rows else "")
    )
    return 1 if failed else 0
