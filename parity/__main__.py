"""``python -m parity resnet50 --weights FILE --images DIR``: are the two frameworks equal?

Exit status: 0 equal, 1 different, 2 wrong usage or not possible to run.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

# Outputs are compared while the workers compute: threads of NumPy's own would wait for one another
# on the workers' cores (28 s for a ResNet-50 instead of 19). NumPy reads it when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import weight_port
from parity import images
from parity.records import RecordError
from parity.report import record as reports
from parity.report.text import render
from parity.run import dumps, options
from parity.run.inputs import Given, UsageError, check_pixels, subject
from parity.run.plan import Options
from parity.run.results import FRAMEWORKS, Machine, Report, Subject
from parity.run.run import run
from parity.workers.launch import WorkerError
from weight_port import arch, terminal

OUT = Path("build", "parity")
_ERRORS = (UsageError, images.ImageError, RecordError, weight_port.WeightPortError, WorkerError)


# -- options


def _add_given(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--weights", type=Path, metavar="FILE", help="checkpoint for both; else drawn from --seed")
    add("--images", type=Path, nargs="+", default=[], metavar="PATH", help="files or folders; else "
        "drawn from --seed")  # fmt: skip
    add("--size", type=terminal.whole(1), metavar="PIXELS",
        help="side of the images (default: the network's, 224 or CIFAR's 32)")  # fmt: skip
    add("--seed", type=terminal.whole(0), default=0, help="of weights, images and labels not given")
    options.add(parser, "N steps of SGD")


def _add_shown(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--layers", action="store_true", help="print every output")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR",
                        help=f"where MODEL.json and MODEL.html go (default: {OUT})")  # fmt: skip


class _List(argparse.Action):
    """``--list``: the networks, from the table that everything comes from."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print("\n".join(arch.ARCHITECTURES))
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m parity",
        description="Run networks with the same weights in PyTorch and in Paddle and compare every "
        "named layer. `python -m parity dump` and `compare` do the halves of it on two machines, "
        "`python -m parity pair` any two networks. "
        "Exit status: 0 equal, 1 different, 2 wrong usage or not possible to run.",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", choices=list(arch.ARCHITECTURES),
                        help="see --list")  # fmt: skip
    parser.add_argument("--list", action=_List, nargs=0, help="list the networks")
    terminal.add_version(parser)
    _add_given(parser)
    parser.add_argument("--torch-weights", type=Path, metavar="FILE",
                        help="your port: PyTorch loads this one, Paddle the other")  # fmt: skip
    _add_shown(parser)
    return parser


# -- commands


def _show(report: Report, args: argparse.Namespace) -> int:
    """Print and keep a report; returns the exit status."""
    record = reports.as_json(report)
    terminal.say(render(record, args.layers))
    record_file, page = reports.write(record, args.out)
    terminal.progress(f"record: {record_file}\npage: {page}")
    return {"EQUAL": 0, "DIFFERENT": 1}.get(record["verdict"], 2)


def _subject(model: str, given: Given, folder: Path, chosen: Options) -> Subject:
    """What runs, checked against how it is to run. Raises UsageError and others."""
    network = subject(model, given, folder, terminal.progress)
    if chosen.steps or "train" in chosen.modes:
        check_pixels(model, network.images.shape[-1], "training mode takes their statistics")
    return network


def _run(arguments: Sequence[str]) -> int:
    """Both frameworks, and every model in turn."""
    args = _parser().parse_args(arguments)
    if len(args.models) > 1 and args.weights is not None:
        raise UsageError("--weights are those of one network: name one MODEL")
    machine, worst = options.machine(args), 0
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        for model in args.models:
            given = Given(args.weights, args.torch_weights, args.images, args.size, args.seed)
            network = _subject(model, given, Path(folder), options.chosen(args))
            report = run(network, options.chosen(args), machine, terminal.progress)
            status = _show(report, args)
            worst = 1 if 1 in (status, worst) else max(status, worst)
    return worst


def _dump(arguments: Sequence[str]) -> int:
    """One framework's outputs, kept in a folder."""
    parser = argparse.ArgumentParser(prog="python -m parity dump", description=_dump.__doc__)
    parser.add_argument("framework", choices=FRAMEWORKS)
    parser.add_argument("model", choices=list(arch.ARCHITECTURES), metavar="MODEL")
    parser.add_argument("out", type=Path, metavar="DIR", help="a new folder")
    terminal.add_version(parser)
    _add_given(parser)
    args = parser.parse_args(arguments)
    if args.weights is None:
        raise UsageError("dump needs --weights: the other machine must have the same")
    python = getattr(args, f"{args.framework}_python")
    machine = Machine(
        "cpu" if args.device == "auto" else args.device,
        {args.framework: python} if python else {},
    )
    given = Given(args.weights, None, args.images, args.size, args.seed)
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        network = _subject(args.model, given, Path(folder), options.chosen(args))
        dumps.dump(args.framework, network, options.chosen(args), machine, args.out)
    terminal.progress(f"dump: {args.out}")
    return 0


def _compare(arguments: Sequence[str]) -> int:
    """Compare a dump of each framework."""
    parser = argparse.ArgumentParser(prog="python -m parity compare", description=_compare.__doc__)
    parser.add_argument("dumps", type=Path, nargs=2, metavar="DUMP")
    terminal.add_version(parser)
    _add_shown(parser)
    args = parser.parse_args(arguments)
    return _show(dumps.compare(tuple(args.dumps), terminal.progress), args)


def _pair(arguments: Sequence[str]) -> int:
    """Compare any two networks."""
    from parity.pair import command

    return command.main(arguments, OUT)


# Not argparse's subparsers: where none of these is the first word, the words are networks.
COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "dump": _dump,
    "compare": _compare,
    "pair": _pair,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = COMMANDS.get(given[0]) if given else None
    call = (lambda: command(given[1:])) if command else (lambda: _run(given))
    return terminal.run("parity", call, _ERRORS)


if __name__ == "__main__":
    raise SystemExit(terminal.until_closed(main))
