# PYTHON_ARGCOMPLETE_OK
"""The ``weight-port`` command.

Exit status: see ``terminal``; ``diff`` ends with 1 where the two differ, ``convert`` of many files
where some failed, ``derive`` with 3 where the evidence leaves something open. Nothing that takes
time to import is imported here, and no command's options are made but those of the one that is run.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path

from weight_port import terminal
from weight_port.errors import WeightPortError
from weight_port.formats.table import FORMATS, WRITABLE

_SOURCE = (
    f"a file, a folder, a .tar archive, or archive.tar/what/is/in/it; formats: {', '.join(FORMATS)}"
)
_RAW = "raw"  # a target beside the dialects
_ERRORS = (WeightPortError, OSError)


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    """The parser, with the options of the command that ``arguments`` name; for the shell, all."""
    parser = argparse.ArgumentParser(
        prog="weight-port",
        description="Carry ResNet weights between Paddle and PyTorch, without either installed.",
    )
    terminal.add_version(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    named = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, (summary, add_options) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        if name == named or _completing():
            command.add_argument("--json", action="store_true", help="print one JSON document")
            command.add_argument(
                "--debug", action="store_true", help="show where an error came from"
            )
            add_options(command)
    return parser


def _add_diff(diff: argparse.ArgumentParser) -> None:
    diff.description = "Exit status 0: every tensor is the same, 1: some differ."
    diff.add_argument("first", type=Path, metavar="A", help=_SOURCE)
    diff.add_argument("second", type=Path, metavar="B")
    diff.set_defaults(run=_diff)


def _add_doctor(doctor: argparse.ArgumentParser) -> None:
    doctor.description = "Exit status 0: nothing is wrong that is known, 1: something is."
    doctor.add_argument("source", type=Path, metavar="FILE", help=_SOURCE)
    doctor.add_argument(
        "--like", type=Path, metavar="REFERENCE", help="a sound file of the same network"
    )
    doctor.set_defaults(run=_doctor)


def _add_verify(verify: argparse.ArgumentParser) -> None:
    verify.description = "Exit status 0: no claim of the file's fails, 1: one does."
    verify.add_argument("file", type=Path, metavar="FILE", help="what `convert` wrote")
    verify.add_argument("--source", type=Path, help="what it was made of, where it is not beside")
    verify.set_defaults(run=_verify)


def _add_table(table: argparse.ArgumentParser) -> None:
    table.set_defaults(run=_table)


def _add_inspect(inspect: argparse.ArgumentParser) -> None:
    inspect.add_argument("source", type=Path, metavar="SRC", help=_SOURCE)
    inspect.add_argument("--tensors", action="store_true", help="list every tensor, by stage")
    inspect.add_argument(
        "--stats",
        action="store_true",
        help="minimum, maximum, mean, standard deviation, NaN and infinity count of every tensor",
    )
    _add_choice(inspect)
    inspect.set_defaults(run=_inspect)


def _add_choice(command: argparse.ArgumentParser) -> None:
    """The options that say which tensors of a file are meant."""
    command.add_argument(
        "--key",
        metavar="KEY",
        help="the dict of tensors in a checkpoint that has several: ema, ema/module",
    )
    command.add_argument(
        "--prefix",
        metavar="PREFIX",
        help="what stands before the network's names, where there are several: Student.",
    )
    command.add_argument(
        "--drop",
        metavar="GLOB",
        action="append",
        default=[],
        help="leave out the tensors whose names match; may be given again",
    )


def _add_convert(convert: argparse.ArgumentParser) -> None:
    from weight_port.dialects.rows import DIALECTS  # the tables take as long as the interpreter

    convert.usage = (
        "%(prog)s SRC DST --to DIALECT [options]\n"
        "       %(prog)s SRC DST --rules FILE [--reverse]\n"
        "       %(prog)s SRC... --out-dir DIR --format FORMAT --to DIALECT [options]"
    )
    convert.description = (
        f"The suffix of DST is its format: {', '.join(WRITABLE)}; without a suffix, a folder of "
        "Paddle 1.x variable files. A quoted glob is expanded."
    )
    convert.add_argument("paths", nargs="+", metavar="SRC", help=_SOURCE)
    targets = [*DIALECTS, _RAW]
    convert.add_argument(
        "--to",
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
    convert.add_argument(
        "--jobs", type=terminal.whole(1), default=1, metavar="N", help="processes at a time"
    )
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
    _add_choice(convert)
    convert.add_argument(
        "--rest",
        metavar="drop|keep|FILE",
        help="the tensors beside the network: left out, written with it as they are, or in a file",
    )
    convert.add_argument(
        "--to-prefix",
        metavar="PREFIX",
        help="before the network's names in DST; with --rest keep, else what it was in SRC",
    )
    convert.add_argument(
        "--into",
        type=Path,
        metavar="FILE",
        help="write what FILE holds, the network in the place of its own (in DIALECT)",
    )
    convert.add_argument(
        "--linear-layout",
        choices=["torch"],
        help="with --to raw: transpose what the program uses as linear weights, and nothing else",
    )
    convert.add_argument(
        "--rules", type=Path, metavar="FILE", help="instead of --to: a rules file says what becomes"
    )
    convert.add_argument(
        "--reverse", action="store_true", help="with --rules: from the target back to the source"
    )
    convert.set_defaults(run=_convert)


def _add_derive(derive: argparse.ArgumentParser) -> None:
    derive.description = (
        "Exit status 0: the rules are written, 3: the evidence leaves something open, which is "
        "listed, and nothing is written."
    )
    derive.add_argument("first", type=Path, metavar="SRC", help=_SOURCE)
    derive.add_argument(
        "second", type=Path, metavar="TARGET", help="of the other side; freshly initialised will do"
    )
    derive.add_argument("--out", type=Path, required=True, metavar="FILE", help="rules.toml")
    derive.add_argument(
        "--with", type=Path, dest="given", metavar="FILE", help="rules of yours, which stand"
    )
    derive.add_argument(
        "--accept", action="store_true", help="take the guess where nothing decides, and drop"
    )
    derive.add_argument("--force", action="store_true", help="replace what exists")
    derive.set_defaults(run=_derive)


def _add_rules(rules: argparse.ArgumentParser) -> None:
    actions = rules.add_subparsers(dest="action", required=True, metavar="ACTION")
    about = "say whether a rules file makes one checkpoint's tensors of another's"
    check = actions.add_parser("check", help=about, description=about)
    check.add_argument("file", type=Path, metavar="FILE", help="a rules file (rules/schema.json)")
    check.add_argument("first", type=Path, metavar="SRC", help=_SOURCE)
    check.add_argument("second", type=Path, metavar="TARGET")
    check.set_defaults(run=_rules)


# The commands' modules take time to import, some of them NumPy with them: each when it is run.


def _inspect(args: argparse.Namespace) -> int:
    from weight_port.commands.inspect import run

    return run(args)


def _convert(args: argparse.Namespace) -> int:
    from weight_port.commands.convert import run

    return run(args)


def _diff(args: argparse.Namespace) -> int:
    from weight_port.commands.diff import run

    return run(args)


def _derive(args: argparse.Namespace) -> int:
    from weight_port.commands.derive import run

    return run(args)


def _rules(args: argparse.Namespace) -> int:
    from weight_port.commands.rules import run

    return run(args)


def _doctor(args: argparse.Namespace) -> int:
    from weight_port.commands.doctor import run

    return run(args)


def _verify(args: argparse.Namespace) -> int:
    from weight_port.commands.verify import run

    return run(args)


def _table(args: argparse.Namespace) -> int:
    from weight_port.commands.tables import run

    return run(args)


_COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "inspect": ("say what a checkpoint is", _add_inspect),
    "convert": ("write checkpoints in another dialect", _add_convert),
    "diff": ("compare two checkpoints, across formats and dialects", _add_diff),
    "doctor": ("name what is wrong with a file", _add_doctor),
    "verify": ("check what a converted file says of itself", _add_verify),
    "derive": ("find the rules of a port from two checkpoints", _add_derive),
    "rules": ("check a rules file of a port", _add_rules),
    "dialects": ("list how each library names the tensors", _add_table),
    "formats": ("list the files that are read and written", _add_table),
    "architectures": ("list the networks", _add_table),
}


def _completing() -> bool:
    """Whether the shell asks for completions: ``register-python-argcomplete weight-port``."""
    return "_ARGCOMPLETE" in os.environ


def _complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell, where it asks."""
    if _completing():
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
        return terminal.until_closed(lambda: _run(sys.argv[1:]))
    finally:
        gc.freeze()  # else the interpreter, on its way out, goes through all there is: 60 ms


def _run(arguments: list[str]) -> int:
    parser = _parser(arguments)
    _complete(parser)
    args = parser.parse_args(arguments)
    args.wrong_usage = parser.error
    errors = () if args.debug else _ERRORS
    return terminal.run("weight-port", lambda: _report(args), errors)


def _report(args: argparse.Namespace) -> int:
    """The command's exit status; with ``--json`` an error is a document too."""
    try:
        status: int = args.run(args)
    except BrokenPipeError:
        raise
    except _ERRORS as error:
        if args.json and not args.debug:
            terminal.say_json({"error": str(error), "kind": type(error).__name__})
        raise
    return status
