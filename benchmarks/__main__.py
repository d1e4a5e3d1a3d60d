"""``python -m benchmarks``: run the grid, or show a record.

Exit status: 0 every row passed parity and was timed, 1 a row failed or nothing could run, 2 wrong
usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from benchmarks import record, table
from benchmarks.cells import IMPLEMENTATIONS, MODELS
from benchmarks.frameworks import RunError
from benchmarks.run import Options, run
from parity.launch import available_threads
from weight_port import WeightPortError, disk

DEFAULT_FOLDER = Path("build", "benchmarks")


def _list_of(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """A type for argparse: names from ``known``, separated by commas."""

    def parse(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(text.split(",")))
        unknown = [name for name in names if name not in known]
        if unknown:
            wrong = ", ".join(map(repr, unknown))
            raise argparse.ArgumentTypeError(f"unknown {wrong}: choose from {', '.join(known)}")
        return names

    return parse


def _whole(minimum: int) -> Callable[[str], int]:
    """A type for argparse: a whole number, at least ``minimum``."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {minimum} on")
        return int(text)

    return parse


def _batches(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(_whole(1)(part) for part in text.split(",")))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time forward passes, each row's outputs compared with a float64 reference "
        "first. `python -m benchmarks show RECORD` renders the record of an earlier run.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--models", type=_list_of(MODELS), default="resnet50,resnet101,resnet152", metavar="A,B,…")
    add("--batch", type=_batches, default="1,8", metavar="N,M,…", help="images per forward pass")
    rows = ",".join(IMPLEMENTATIONS)
    add("--implementations", type=_list_of(tuple(IMPLEMENTATIONS)), default=rows, metavar="A,B,…")
    add("--device", choices=("auto", "cpu", "gpu"), default="auto")
    add("--threads", type=_whole(1), default=available_threads(), help="of either framework")
    add("--rounds", type=_whole(1), default=3, help="processes per row; ratios need 5")
    add("--size", type=_whole(32), default=224, help="height and width of the images")
    add("--seed", type=_whole(0), default=0, help="of weights and images")
    add(
        "--json", type=Path, metavar="FILE", help="where the record goes; a dated file if not given"
    )
    add("--force", action="store_true", help="replace FILE if it exists")
    add("--format", choices=list(table.FORMATS), default="simple")
    return parser


def _default_file() -> Path:
    DEFAULT_FOLDER.mkdir(parents=True, exist_ok=True)
    return DEFAULT_FOLDER / f"{datetime.now(timezone.utc):%Y-%m-%dT%H-%M-%SZ}.json"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _run(arguments: Sequence[str]) -> int:
    """Measure, write the record, print its table."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        file = chosen.json or _default_file()
        disk.check_destination(file, chosen.force)  # now, not after an hour of measuring
    except (WeightPortError, OSError) as error:
        parser.error(str(error))
    options = Options(
        models=chosen.models,
        batches=chosen.batch,
        implementations=chosen.implementations,
        device=chosen.device,
        threads=chosen.threads,
        rounds=chosen.rounds,
        size=chosen.size,
        seed=chosen.seed,
    )
    done = run(options, _say)
    record.write(file, done, chosen.force)
    print(table.render(done, chosen.format))
    failed = [cell for cell in done["cells"] if cell["error"]]
    _say(f"{file}: written; {len(failed)} of {len(done['cells'])} rows failed")
    return 1 if failed else 0


def _show(arguments: Sequence[str]) -> int:
    """Print the table of a record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks show", description=_show.__doc__)
    parser.add_argument("record", type=Path, metavar="RECORD")
    parser.add_argument("--format", choices=list(table.FORMATS), default="simple")
    chosen = parser.parse_args(arguments)
    print(table.render(record.read(chosen.record), chosen.format))
    return 0


COMMANDS = {"show": _show}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = COMMANDS.get(given[0]) if given else None
    try:
        return command(given[1:]) if command else _run(given)
    except (RunError, record.RecordError, WeightPortError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmarks: stopped; no record was written", file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
