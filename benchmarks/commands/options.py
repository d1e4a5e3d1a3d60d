"""What the commands' options have in common, and how a command ends: record, tables, status."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from benchmarks.records import marks
from benchmarks.records.tables import FORMATS
from weight_port import DestinationError, terminal
from weight_port.storage import disk

if TYPE_CHECKING:
    from benchmarks.harness.lasting import Lasting

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


def add_output(parser: argparse.ArgumentParser, *, lasts: bool = True) -> None:
    """Where the record goes, and what is printed of it; ``lasts``: it grows and can go on."""
    where = "where the record goes; a dated file if not given"
    parser.add_argument("--json", type=Path, metavar="FILE", help=where)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--force", action="store_true", help="replace FILE if it exists")
    add_format(parser)
    if not lasts:
        parser.set_defaults(resume=False)
        return
    help_resume = "go on with FILE where it is not complete; begin it where it is not there"
    either.add_argument("--resume", action="store_true", help=help_resume)
    help_minutes = "no process is started that would not end in N minutes; --resume does the rest"
    parser.add_argument("--max-minutes", type=terminal.positive, metavar="N", help=help_minutes)
    help_dry = "list what would run, and how long it may take"
    parser.add_argument("--dry-run", action="store_true", help=help_dry)


def add_pythons(parser: argparse.ArgumentParser) -> None:
    """The interpreters of the frameworks, where each has an environment of its own."""
    for framework in ("torch", "paddle"):
        help_python = f"interpreter of {framework}'s own environment"
        parser.add_argument(f"--{framework}-python", metavar="PYTHON", help=help_python)


def add_format(parser: argparse.ArgumentParser, *more: str) -> None:
    """The format of the tables, and ``more``."""
    help_format = "csv and json have the values, unrounded; csv those of the first table"
    parser.add_argument("--format", choices=(*FORMATS, *more), default="simple", help=help_format)


def pick(options: Callable[..., Options], args: argparse.Namespace) -> Options:
    """``options``, a dataclass, with the arguments that its fields name."""
    return options(**{field.name: getattr(args, field.name) for field in fields(options)})  # type: ignore[arg-type]


def destination(args: argparse.Namespace) -> Path:
    """Where the record will go: checked now, not after it was measured.

    Raises weight_port.DestinationError where it can't go there, or a run can't go on from nowhere.
    """
    if args.resume and args.json is None:
        raise DestinationError("--resume: which record goes on? name it with --json FILE")
    file: Path = args.json or _default_file()
    disk.check_destination(file, args.force or args.resume)
    return file


def measured(
    args: argparse.Namespace,
    measure: Callable[[Lasting], dict[str, Any]],
    rows: Callable[[dict[str, Any]], Sequence[Mapping[str, Any]]],
    file: Path | None = None,
    **options: Any,
) -> int:
    """Measure, keeping the record as it grows, and print its tables; returns the exit status.

    ``rows`` gives of a record what may have failed; ``options`` are those of ``kinds.render``.
    """
    place = file or destination(args)
    growing = lasting(args, place)
    record = measure(growing)
    return keep(place, record, args, rows(record), growing.force, **options)


def choose_pythons(args: argparse.Namespace) -> None:
    """Have the frameworks run in the interpreters that the options name."""
    from benchmarks.harness import frameworks

    given = {name: getattr(args, f"{name}_python", None) for name in ("torch", "paddle")}
    frameworks.PYTHONS.clear()
    frameworks.PYTHONS.update({name: path for name, path in given.items() if path is not None})


def lasting(args: argparse.Namespace, file: Path) -> Lasting:
    """What a run keeps in ``file``, goes on from and may take. Raises RecordError."""
    from benchmarks import kinds
    from benchmarks.harness.lasting import Lasting

    choose_pythons(args)
    previous = kinds.read(file) if args.resume and file.exists() else None
    seconds = math.inf if args.max_minutes is None else 60 * args.max_minutes
    return Lasting(file, args.force, previous, seconds)


def dry_run(planned: Sequence[tuple[str, float]], rounds: int, more: str = "") -> int:
    """Print rows with the seconds that a process of theirs may take, and what they come to."""
    from benchmarks.harness.lasting import duration

    for name, seconds in planned:
        print(f"{name}: {rounds} × about {duration(seconds)}")
    whole = rounds * sum(seconds for _, seconds in planned)
    print(f"{len(planned)} rows, {rounds * len(planned)} processes: about {duration(whole)}{more}.")
    print("Nobody timed them here: a run says how long it has left from what it has seen.")
    return 0


def _default_file() -> Path:
    DEFAULT_FOLDER.mkdir(parents=True, exist_ok=True)
    return DEFAULT_FOLDER / f"{datetime.now(timezone.utc):%Y-%m-%dT%H-%M-%SZ}.json"


def keep(
    file: Path,
    record: dict[str, Any],
    args: argparse.Namespace,
    rows: Sequence[Mapping[str, Any]],
    force: bool,
    **options: Any,
) -> int:
    """Write a record and print its tables; returns the exit status.

    ``rows`` is what may have failed; ``options`` are those of ``kinds.render``.
    """
    from benchmarks import kinds

    kinds.write(file, record, force)
    print(kinds.render(record, args.format, **options))
    errors = [row["error"] for row in rows if row["error"] is not None]
    failed = sum(error != marks.PENDING for error in errors)
    terminal.progress(
        f"{file}: written" + (f"; {failed} of {len(rows)} rows failed" if rows else "")
    )
    return 1 if errors or marks.INCOMPLETE in record else 0
