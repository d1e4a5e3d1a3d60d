# PYTHON_ARGCOMPLETE_OK
"""The ``weight-port`` command.

Exit status: 0 done (``diff``: the same), 1 refused or failed (``diff``: different), 2 wrong usage,
130 interrupted. Nothing that takes time to import is imported here.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from pathlib import Path

from weight_port.dialects.keys import DIALECTS
from weight_port.errors import WeightPortError
from weight_port.formats.table import FORMATS, WRITABLE
from weight_port.terminal import add_version, plain, say_json, until_closed

_SOURCE = (
    f"a file, a folder, a .tar archive, or archive.tar/what/is/in/it; formats: {', '.join(FORMATS)}"
)
_RAW = "raw"  # a target beside the dialects


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="weight-port",
        description="Carry ResNet weights between Paddle and PyTorch, without either installed.",
    )
    add_version(parser)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON document")
    common.add_argument("--debug", action="store_true", help="show where an error came from")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_inspect(commands.add_parser("inspect", parents=[common], help="say what a checkpoint is"))
    _add_convert(
        commands.add_parser(
            "convert",
            parents=[common],
            help="write checkpoints in another dialect",
            usage="%(prog)s SRC DST --to DIALECT [options]\n"
            "       %(prog)s SRC... --out-dir DIR --format FORMAT --to DIALECT [options]",
            description=f"The suffix of DST is its format: {', '.join(WRITABLE)}; without a "
            "suffix, a folder of Paddle 1.x variable files. A quoted glob is expanded.",
        )
    )
    diff = commands.add_parser(
        "diff",
        parents=[common],
        help="compare two checkpoints, across formats and dialects",
        description="Exit status 0: every tensor is the same, 1: some differ.",
    )
    diff.add_argument("first", type=Path, metavar="A", help=_SOURCE)
    diff.add_argument("second", type=Path, metavar="B")
    diff.set_defaults(run=_diff)
    for name, what in (
        ("dialects", "how each library names the tensors"),
        ("formats", "the files that are read and written"),
        ("architectures", "the networks"),
    ):
        table = commands.add_parser(name, parents=[common], help=f"list {what}")
        table.set_defaults(run=_table)
    return parser


def _add_inspect(inspect: argparse.ArgumentParser) -> None:
    inspect.add_argument("source", type=Path, metavar="SRC", help=_SOURCE)
    inspect.add_argument("--tensors", action="store_true", help="list every tensor, by stage")
    inspect.add_argument(
        "--stats",
        action="store_true",
        help="minimum, maximum, mean, standard deviation, NaN and infinity count of every tensor",
    )
    inspect.set_defaults(run=_inspect)


def _add_convert(convert: argparse.ArgumentParser) -> None:
    convert.add_argument("paths", nargs="+", metavar="SRC", help=_SOURCE)
    targets = [*DIALECTS, _RAW]
    convert.add_argument(
        "--to",
        required=True,
        metavar="DIALECT",
        choices=targets,
        help=f"one of {', '.join(DIALECTS)}; or raw: names and bytes as they are, of any file",
    )
    convert.add_argument(
        "--from",
        dest="dialect",
        metavar="DIALECT",
        choices=list(DIALECTS),
        help="instead of detecting it",
    )
    convert.add_argument(
        "--architecture",
        metavar="NAME",
        help="the network, where its tensors are those of several (weight-port architectures)",
    )
    convert.add_argument("--out-dir", type=Path, metavar="DIR", help="a folder for the results")
    convert.add_argument(
        "--format",
        metavar="FORMAT",
        choices=[name for name, row in FORMATS.items() if row.written],
        help="with --out-dir: one of %(choices)s",
    )
    convert.add_argument("--jobs", type=int, default=1, metavar="N", help="processes at a time")
    convert.add_argument("--no-top", action="store_true", help="leave the classifier out")
    convert.add_argument("--force", action="store_true", help="replace what exists")
    convert.add_argument(
        "--fold",
        action="store_true",
        help="merge convolutions' biases and another epsilon into the batch norms",
    )
    convert.add_argument(
        "--allow-mismatch",
        action="store_true",
        help="write it all the same where the target's model computes something else",
    )
    convert.add_argument(
        "--linear-layout",
        choices=["torch"],
        help="with --to raw: transpose what the program uses as linear weights, and nothing else",
    )
    convert.set_defaults(run=_convert)


# The commands' modules take time to import, some of them NumPy with them: each when it is run.


def _inspect(options: argparse.Namespace) -> int:
    from weight_port.commands.inspect import run

    return run(options)


def _convert(options: argparse.Namespace) -> int:
    from weight_port.commands.convert import run

    return run(options)


def _diff(options: argparse.Namespace) -> int:
    from weight_port.commands.diff import run

    return run(options)


def _table(options: argparse.Namespace) -> int:
    from weight_port.commands.tables import run

    return run(options)


def _complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell's completion, where it asks: ``register-python-argcomplete weight-port``."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)


def _hurry() -> None:
    """Set up a process that does nothing but the command, and most often for a moment."""
    # OpenBLAS, which comes with NumPy, starts and stops its threads for matrix products: 60 ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Reading a file makes some thousands of objects that stay; a collection finds nothing in them.
    gc.set_threshold(100_000, 10, 10)


def main(arguments: list[str] | None = None) -> int:
    """Run the command, of this process or, with ``arguments``, within it; returns its status."""
    if arguments is not None:
        return _run(arguments)
    _hurry()
    try:
        return until_closed(lambda: _run(sys.argv[1:]))
    finally:
        gc.freeze()  # else the interpreter, on its way out, goes through all there is: 60 ms


def _run(arguments: list[str]) -> int:
    parser = _parser()
    _complete(parser)
    options = parser.parse_args(arguments)
    options.wrong_usage = parser.error
    try:
        status: int = options.run(options)
        return status
    except BrokenPipeError:
        raise
    except (WeightPortError, OSError) as error:
        if options.debug:
            raise
        if options.json:
            say_json({"error": str(error), "kind": type(error).__name__})
        print(plain(f"weight-port: {error}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("weight-port: interrupted; nothing half-written is left", file=sys.stderr)
        return 130
