"""The options that a run of a table's network and one of a pair have in common."""

from __future__ import annotations

import argparse

from parity.comparison.precision import PRECISIONS
from parity.run import device
from parity.run.plan import MODES, Options
from parity.run.results import FRAMEWORKS, Machine
from weight_port import terminal


def add(parser: argparse.ArgumentParser, steps: str) -> None:
    """Add what is compared and where it runs; ``steps`` is what the help calls the steps."""
    option = parser.add_argument
    option("--precision", type=terminal.names(tuple(PRECISIONS)), default=("float64", "float32"),
        metavar="A,B,…", help=f"of {', '.join(PRECISIONS)} (default: float64,float32)")  # fmt: skip
    option("--mode", type=terminal.names(MODES), default=("eval",), metavar="A,B",
        help="eval, train or eval,train (default: eval)")  # fmt: skip
    option("--isolate", action="store_true",
        help="also feed every layer the reference's input: each layer's own error")  # fmt: skip
    option("--backward", action="store_true", help="also the gradients of a loss")
    option("--train-steps", type=terminal.whole(0), default=0, metavar="N", help=f"also {steps}")
    option("--device", choices=device.CHOICES, default="auto", help="gpu if both have one (auto)")
    for side in FRAMEWORKS:
        option(
            f"--{side}-python", metavar="PYTHON", help=f"interpreter of {side}'s own environment"
        )


def chosen(args: argparse.Namespace) -> Options:
    """What is compared."""
    return Options(args.precision, args.mode, args.isolate, args.backward, args.train_steps)


def machine(args: argparse.Namespace) -> Machine:
    """Where it runs. Raises UsageError for a GPU that one side can't use, and WorkerError."""
    given = {side: getattr(args, f"{side}_python") for side in FRAMEWORKS}
    pythons = {side: python for side, python in given.items() if python is not None}
    return Machine(device.choose(args.device, pythons, terminal.progress), pythons)
