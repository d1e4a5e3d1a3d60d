"""``python -m training.exchange``: a checkpoint as a framework's own files, and back.

Paddle's are ``training.pdparams`` and ``training.pdopt``, for ``paddle.load`` and the
``set_state_dict`` of a network of ``paddle_impl`` and of ``paddle.optimizer.Momentum``. PyTorch's
is ``training.pt``, ``{"model": …, "optimizer": …}``, for the ``load_state_dict`` of a network of
``pytorch_impl`` and of ``torch.optim.SGD``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from training.errors import TrainingError
from training.loop import checkpoints, schedules
from training.loop import launch as process
from training.loop.checkpoints import State
from weight_port import WeightPortError
from weight_port.storage import disk


def next_rate(state: State) -> float:
    """SGD's at the next step."""
    settings = state.settings
    done = state.epoch / settings["epochs"]
    return schedules.rate(settings["schedule"], state.schedule, done)


def _run(framework: str, task: str, checkpoint: Path, more: dict[str, str]) -> State:
    """Raises TrainingError where the process fails, which says why; returns the checkpoint."""
    state = checkpoints.load(checkpoint)
    settings = {**state.settings, "rate": next_rate(state)}
    precision = next(iter(state.weights.values())).dtype.name
    job = {"task": task, "settings": settings, "how": {"threads": 1, "precision": precision}}
    if process.start(framework, {**job, "checkpoint": str(checkpoint), **more}):
        raise TrainingError(f"{framework} could not {task}; see above")
    return state


def _export(words: argparse.Namespace) -> None:
    with disk.new_folder(words.out, words.force) as folder:
        state = _run(words.framework, "export", words.checkpoint, {"out": str(folder.absolute())})
    print(f"{words.out}: {', '.join(sorted(path.name for path in words.out.iterdir()))}")
    settings = state.settings
    print(
        f"SGD goes on with a rate of {next_rate(state):g}, momentum {settings['momentum']:g}, "
        f"weight decay {settings['weight_decay']:g}"
    )


def _import(words: argparse.Namespace) -> None:
    disk.check_destination(words.out, words.force)
    more = {"file": str(words.file), "out": str(words.out)}
    state = _run(words.framework, "import", words.like, more)
    print(f"{words.out}: after epoch {state.epoch} of {state.settings['epochs']}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.exchange",
        description=__doc__.split("\n\n", 1)[1] if __doc__ else None,
    )
    commands = parser.add_subparsers(required=True, metavar="export|import")
    out = commands.add_parser("export", help="a checkpoint as a framework's files")
    out.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    out.add_argument("--out", type=Path, required=True, metavar="DIR", help="new, for the files")
    out.set_defaults(run=_export)
    back = commands.add_parser("import", help="a framework's files as a checkpoint")
    back.add_argument("file", type=Path, metavar="FILE", help=".pt, or .pdparams beside its .pdopt")
    of = "whose settings, epoch and history they are of"
    back.add_argument("--like", type=Path, required=True, metavar="CHECKPOINT", help=of)
    back.add_argument("--out", type=Path, required=True, metavar="CHECKPOINT")
    back.set_defaults(run=_import)
    for command in (out, back):
        command.add_argument("--framework", choices=list(process.MODULES), required=True)
        command.add_argument("--force", action="store_true", help="replace what --out names")
    words = parser.parse_args(arguments)
    try:
        words.run(words)
    except (TrainingError, WeightPortError, OSError) as error:
        print(f"training.exchange: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
