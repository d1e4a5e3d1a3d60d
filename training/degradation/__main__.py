"""``python -m training.degradation``: plain networks against ResNets of the same depths.

He et al., "Deep Residual Learning for Image Recognition" (2015), section 4.2 and figure 6: the
deeper plain network has the higher training error, the deeper ResNet has not.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parity import records
from parity.records import RecordError
from parity.workers.launch import available_threads
from training import __main__ as training_command
from training import curves, settings
from training.data import cifar
from training.degradation.record import legend, make, names, runs, table
from training.errors import TrainingError
from training.loop import checkpoints, launch
from training.loop.checkpoints import State
from training.loop.epochs import CHECKPOINT
from weight_port import WeightPortError, terminal

RECORD = "degradation.json"
DEPTHS = tuple(
    depth
    for depth in (int(n.removeprefix("plain")) for n in settings.MODELS if n.startswith("plain"))
    if set(names(depth)) <= set(settings.MODELS)
)
_DEFAULTS = {key: value for key, value in settings.DEFAULTS.items() if key != "model"}


def _depths(text: str) -> list[int]:
    return [int(depth) for depth in terminal.names([str(depth) for depth in DEPTHS])(text)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.degradation",
        description="Train plain networks and ResNets of the same depths one after the other, from "
        "the same seed on the same batches; draw their curves in one picture. The same command "
        "continues an experiment that was stopped.",
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="made by python -m training.data")
    add("--out", type=Path, required=True, metavar="DIR", help=f"for {RECORD}, curves, trainings")
    add("--framework", choices=list(launch.MODULES), default="torch")
    known = ", ".join(map(str, DEPTHS))
    add("--depths", type=_depths, default=[20, 56], metavar="N,N",
        help=f"of {known} (default: 20,56)")  # fmt: skip
    add("--threads", type=terminal.whole(1), default=available_threads())
    settings.add_settings(parser)
    parser.epilog = settings.in_words(_DEFAULTS)
    terminal.add_version(parser)
    return parser


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """All that the networks' trainings share."""
    given = {key: getattr(args, key) for key in _DEFAULTS}
    return {key: _DEFAULTS[key] if value is None else value for key, value in given.items()}


def _state(args: argparse.Namespace, name: str) -> State | None:
    """A network's last checkpoint, None before the first.

    Raises TrainingError where it was begun with other settings or in another framework.
    """
    path = args.out / name / CHECKPOINT
    if not path.exists():
        return None
    state, wanted = checkpoints.load(path), {"model": name, **_settings(args)}
    other = [f"{key} {state.settings[key]}" for key in wanted if state.settings[key] != wanted[key]]
    frameworks = {line["framework"] for line in state.history} - {args.framework}
    other += [f"framework {framework}" for framework in sorted(frameworks)]
    if other:
        raise TrainingError(f"{path}: was begun with {', '.join(other)}; name another --out")
    return state


def _train(args: argparse.Namespace, name: str, begun: bool) -> int:
    """Train every epoch that is left of one network; returns the exit status."""
    arguments = ["--framework", args.framework, "--data", str(args.data), *begun * ["--resume"]]
    arguments += ["--out", str(args.out / name), "--threads", str(args.threads)]
    for key, value in {"model": name, **_settings(args)}.items():
        arguments += [f"--{key.replace('_', '-')}", str(value)] if value is not None else []
    return training_command.main(arguments)


def _finish(args: argparse.Namespace, networks: Sequence[str]) -> None:
    """Write the record, draw the curves and print the table."""
    states = {name: _state(args, name) for name in networks}
    shared = {**_settings(args), "framework": args.framework, "depths": args.depths}
    shared |= {"threads": args.threads, "data": cifar.stored_digest(args.data)}
    record = make({name: state for name, state in states.items() if state}, shared)
    records.write(args.out / RECORD, record, force=True)
    try:
        curves.draw(runs(record), args.out)
    except ImportError as error:
        terminal.progress(f"training.degradation: no curves: {error}")
    print(f"{table(record, 'simple')}\n\n{legend(record)}")


def _experiment(args: argparse.Namespace) -> int:
    networks = [name for depth in args.depths for name in names(depth)]
    states = {name: _state(args, name) for name in networks}  # all, before hours are spent
    for name, state in states.items():
        done = state is not None and state.epoch >= state.settings["epochs"]
        status = 0 if done else _train(args, name, state is not None)
        if status:
            terminal.progress(
                f"training.degradation: {name} is not finished; the same command continues"
            )
            return status
    _finish(args, networks)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    args = _parser().parse_args(arguments)
    errors = (RecordError, TrainingError, WeightPortError, OSError)
    left = "the same command continues"
    return terminal.run("training.degradation", lambda: _experiment(args), errors, left)


if __name__ == "__main__":
    raise SystemExit(terminal.until_closed(main))
