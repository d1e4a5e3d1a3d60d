"""``python -m parity resnet50 --weights FILE --images DIR``: are the two frameworks equal?

Exit status: 0 equal, 1 different, 2 not runnable.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from parity.report import text as report_text

# Outputs are compared while the workers compute: threads of NumPy's own would wait for one another
# on the workers' cores (28 s for a ResNet-50 instead of 19).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import weight_port  # before NumPy is imported, which reads it
from parity import images
from parity.comparison.precision import PRECISIONS
from parity.report import record as report
from parity.run import device, dumps
from parity.run.inputs import Given, UsageError, subject
from parity.run.plan import MODES, Options
from parity.run.results import FRAMEWORKS, Machine, Report
from parity.run.run import run
from parity.workers.launch import WorkerError
from weight_port import arch
from weight_port.terminal import until_closed

OUT = Path("build", "parity")
_ERRORS = (UsageError, images.ImageError, weight_port.WeightPortError, WorkerError)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _several(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """A type for argparse: names from ``known``, separated by commas."""

    def parse(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(text.split(",")))
        if unknown := [name for name in names if name not in known]:
            wrong = ",".join(unknown)
            raise argparse.ArgumentTypeError(f"{wrong!r}: one of {', '.join(known)}")
        return names

    return parse


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


# -- words


def _add_given(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--weights", type=Path, metavar="FILE", help="checkpoint for both; else drawn from --seed")
    add("--images", type=Path, nargs="+", default=[], metavar="PATH", help="files or folders; else "
        "drawn from --seed")  # fmt: skip
    add("--size", type=_whole, metavar="PIXELS",
        help="side of the images (default: the network's, 224 or CIFAR's 32)")  # fmt: skip
    add("--seed", type=_whole, default=0, help="of weights, images and labels not given")
    add("--precision", type=_several(tuple(PRECISIONS)), default=("float64", "float32"),
        metavar="A,B,…", help=f"of {', '.join(PRECISIONS)} (default: float64,float32)")  # fmt: skip
    add("--mode", type=_several(MODES), default=("eval",), metavar="A,B",
        help="eval, train or eval,train (default: eval)")  # fmt: skip
    add("--isolate", action="store_true",
        help="also feed every layer the reference's input: each layer's own error")  # fmt: skip
    add("--backward", action="store_true", help="also the gradients of a loss")
    add("--train-steps", type=_whole, default=0, metavar="N", help="also N steps of SGD")
    add("--device", choices=device.CHOICES, default="auto", help="gpu if both have one (auto)")
    for side in FRAMEWORKS:
        add(f"--{side}-python", metavar="PYTHON", help=f"interpreter of {side}'s own environment")


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
        "named layer. `python -m parity dump` and `compare` do the halves of it on two machines. "
        "Exit status: 0 equal, 1 different, 2 not runnable.",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", choices=list(arch.ARCHITECTURES),
                        help="see --list")  # fmt: skip
    parser.add_argument("--list", action=_List, nargs=0, help="list the networks")
    _add_given(parser)
    parser.add_argument("--torch-weights", type=Path, metavar="FILE",
                        help="your port: PyTorch loads this one, Paddle the other")  # fmt: skip
    _add_shown(parser)
    return parser


def _options(words: argparse.Namespace) -> Options:
    return Options(words.precision, words.mode, words.isolate, words.backward, words.train_steps)


def _machine(words: argparse.Namespace) -> Machine:
    given = {side: getattr(words, f"{side}_python") for side in FRAMEWORKS}
    pythons = {side: python for side, python in given.items() if python is not None}
    return Machine(device.choose(words.device, pythons, _say), pythons)


# -- commands


def _show(found: Report, words: argparse.Namespace) -> int:
    """Print and keep a report; returns the exit status."""
    record = report.as_json(found)
    print(report_text.text(record, words.layers))
    kept, shown = report.write(record, words.out)
    _say(f"record: {kept}\npage: {shown}")
    return {"EQUAL": 0, "DIFFERENT": 1}.get(record["verdict"], 2)


def _run(arguments: Sequence[str]) -> int:
    """Both frameworks, and every model in turn."""
    words = _parser().parse_args(arguments)
    if len(words.models) > 1 and words.weights is not None:
        raise UsageError("--weights are those of one network: name one MODEL")
    machine, worst = _machine(words), 0
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        for model in words.models:
            given = Given(words.weights, words.torch_weights, words.images, words.size, words.seed)
            found = run(subject(model, given, Path(folder), _say), _options(words), machine, _say)
            status = _show(found, words)
            worst = 1 if 1 in (status, worst) else max(status, worst)
    return worst


def _dump(arguments: Sequence[str]) -> int:
    """One framework's outputs, kept in a folder."""
    parser = argparse.ArgumentParser(prog="python -m parity dump", description=_dump.__doc__)
    parser.add_argument("framework", choices=FRAMEWORKS)
    parser.add_argument("model", choices=list(arch.ARCHITECTURES), metavar="MODEL")
    parser.add_argument("out", type=Path, metavar="DIR", help="a new folder")
    _add_given(parser)
    words = parser.parse_args(arguments)
    if words.weights is None:
        raise UsageError("dump needs --weights: the other machine must have the same")
    python = getattr(words, f"{words.framework}_python")
    machine = Machine(
        "cpu" if words.device == "auto" else words.device,
        {words.framework: python} if python else {},
    )
    given = Given(words.weights, None, words.images, words.size, words.seed)
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        made = subject(words.model, given, Path(folder), _say)
        dumps.dump(words.framework, made, _options(words), machine, words.out)
    _say(f"dump: {words.out}")
    return 0


def _compare(arguments: Sequence[str]) -> int:
    """Compare a dump of each framework."""
    parser = argparse.ArgumentParser(prog="python -m parity compare", description=_compare.__doc__)
    parser.add_argument("dumps", type=Path, nargs=2, metavar="DUMP")
    _add_shown(parser)
    words = parser.parse_args(arguments)
    return _show(dumps.compare(tuple(words.dumps), _say), words)


COMMANDS = {"dump": _dump, "compare": _compare}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = COMMANDS.get(given[0]) if given else None
    try:
        return command(given[1:]) if command else _run(given)
    except _ERRORS as error:
        print(f"parity: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("parity: stopped; nothing half-written is left", file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(until_closed(main))
