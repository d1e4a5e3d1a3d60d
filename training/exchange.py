"""``python -m training.exchange``: convert a checkpoint to a framework's own files, and back.

Paddle's files are ``training.pdparams`` and ``training.pdopt``, for ``paddle.load`` and the
``set_state_dict`` of a network of ``paddle_impl`` and of ``paddle.optimizer.Momentum``. PyTorch's
file is ``training.pt``, ``{"model": …, "optimizer": …}``, for the ``load_state_dict`` of a network
of ``pytorch_impl`` and of ``torch.optim.SGD``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from training.errors import TrainingError
from training.loop import checkpoints, launch, schedules
from training.loop.checkpoints import State
from weight_port import WeightPortError, terminal
from weight_port.storage import disk, folders


def next_rate(state: State) -> float:
    """SGD's learning rate at the next step."""
    settings = state.settings
    done = state.epoch / settings["epochs"]
    return schedules.rate(settings["schedule"], state.schedule, done)


def _run(framework: str, task: str, checkpoint: Path, more: dict[str, str]) -> State:
    """Run a task on a checkpoint in a framework's process; returns the checkpoint.

    Raises TrainingError where the process fails; the process says why.
    """
    state = checkpoints.load(checkpoint)
    settings = {**state.settings, "rate": next_rate(state)}
    precision = next(iter(state.weights.values())).dtype.name
    job = {"task": task, "settings": settings, "how": {"threads": 1, "precision": precision}}
    if launch.start(framework, {**job, "checkpoint": str(checkpoint), **more}):
        raise TrainingError(f"{framework} could not {task}; see above")
    return state


def _export(args: argparse.Namespace) -> int:
    with folders.new_folder(args.out, args.force) as folder:
        state = _run(args.framework, "export", args.checkpoint, {"out": str(folder.absolute())})
    print(f"{args.out}: {', '.join(sorted(path.name for path in args.out.iterdir()))}")
    settings = state.settings
    print(
        f"SGD continues with a rate of {next_rate(state):g}, momentum {settings['momentum']:g}, "
        f"weight decay {settings['weight_decay']:g}"
    )
    return 0


def _import(args: argparse.Namespace) -> int:
    disk.check_destination(args.out, args.force)
    more = {"file": str(args.file), "out": str(args.out)}
    state = _run(args.framework, "import", args.like, more)
    print(f"{args.out}: after epoch {state.epoch} of {state.settings['epochs']}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.exchange",
        description=__doc__.split("\n\n", 1)[1] if __doc__ else None,
    )
    commands = parser.add_subparsers(required=True, metavar="export|import")
    out = commands.add_parser("export", help="convert a checkpoint to a framework's files")
    out.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    out.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder for the files"
    )
    out.set_defaults(run=_export)
    back = commands.add_parser("import", help="convert a framework's files to a checkpoint")
    back.add_argument("file", type=Path, metavar="FILE", help=".pt, or .pdparams beside its .pdopt")
    like = "the checkpoint that has their settings, epoch and history"
    back.add_argument("--like", type=Path, required=True, metavar="CHECKPOINT", help=like)
    back.add_argument("--out", type=Path, required=True, metavar="CHECKPOINT")
    back.set_defaults(run=_import)
    for command in (out, back):
        command.add_argument("--framework", choices=list(launch.MODULES), required=True)
        command.add_argument("--force", action="store_true", help="replace what --out names")
    terminal.add_version(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    args = _parser().parse_args(arguments)
    errors = (TrainingError, WeightPortError, OSError)
    return terminal.run("training.exchange", lambda: int(args.run(args)), errors)


if __name__ == "__main__":
    raise SystemExit(terminal.until_closed(main))
