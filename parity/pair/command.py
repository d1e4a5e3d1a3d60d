"""``python -m parity pair pair.toml``: your network in Paddle, your port in PyTorch, one verdict.

Exit status: 0 equal, 1 different, 2 wrong usage or not possible to run.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from parity.pair import inputs, record, run
from parity.pair.plan import OPTIMIZERS
from parity.pair.settings import Settings, settings
from parity.pair.text import render
from parity.report import record as reports
from parity.run import device, options
from parity.run.inputs import UsageError
from parity.run.results import FRAMEWORKS, Machine
from weight_port import terminal

_STATUS = {"EQUAL": 0, "DIFFERENT": 1}


def _parser(out: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m parity pair",
        description="Run any two networks, one in PyTorch and one in Paddle, with the same inputs "
        "and weights, and compare layer by layer; layers are matched by themselves. Exit status: 0 "
        "equal, 1 different, 2 wrong usage or not possible to run.",
    )
    add = parser.add_argument
    add("pair", type=Path, nargs="?", metavar="pair.toml", help="tables [torch], [paddle], "
        "[inputs], [names], [weights]; options overrule it")  # fmt: skip
    for side in FRAMEWORKS:
        add(f"--{side}", metavar="MAKE", help="pkg.mod:make or file.py:make, which builds its side")
        add(f"--{side}-weights", metavar="FILE", help="else carried over from the other side's")
    add("--input", action="append", default=[], metavar="NAME=FORM", help="float32[2,3,224,224], "
        "int64[2,16]<1000, a .npy or .npz file, images or a folder of such")  # fmt: skip
    add("--seed", type=terminal.whole(0), default=0, help="of what is not given")
    options.add(parser, "N steps")
    add("--optimizer", choices=OPTIMIZERS, default="sgd", help="of the steps (default: sgd)")
    add("--layers", action="store_true", help="print every output and every match")
    add("--out", type=Path, default=out, metavar="DIR",
        help=f"where the record and the page go (default: {out})")  # fmt: skip
    terminal.add_version(parser)
    return parser


def _settings(args: argparse.Namespace) -> Settings:
    given = {}
    for form in args.input:
        name, equals, value = form.partition("=")
        if not name or not equals:
            raise UsageError(f"--input {form}: write NAME=FORM, such as x=float32[2,3,224,224]")
        given[name] = value
    sides = {
        side: {
            "make": getattr(args, side),
            "weights": getattr(args, f"{side}_weights"),
            "python": getattr(args, f"{side}_python"),
        }
        for side in FRAMEWORKS
    }
    return settings(args.pair, sides, given)


def main(arguments: Sequence[str], out: Path) -> int:
    """Run a pair; returns the exit status. Raises UsageError and others."""
    args = _parser(out).parse_args(arguments)
    pair = _settings(args)
    arrays = inputs.arrays(pair.inputs, pair.folder, args.seed)
    pythons = {side: own.python for side, own in pair.sides.items() if own.python}
    where = Machine(device.choose(args.device, pythons, terminal.progress), pythons)
    chosen = options.chosen(args)
    report = run.run(pair, arrays, chosen, where, args.seed, args.optimizer, terminal.progress)
    plain = record.as_json(report)
    terminal.say(render(plain, args.layers))
    file, page = reports.write(plain, args.out, record.SCHEMA)
    terminal.progress(f"record: {file}\npage: {page}")
    return _STATUS.get(plain["verdict"], 2)
