"""``python -m training.degradation``: plain networks against ResNets of the same depths.

He et al., "Deep Residual Learning for Image Recognition" (2015), section 4.2 and figure 6: the
deeper plain network has the higher training error, the deeper ResNet has not.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parity import records
from parity.workers.launch import available_threads
from training import __main__ as command
from training import curves, settings
from training.degradation import record as degradation_record
from training.errors import TrainingError
from training.loop import checkpoints
from training.loop import launch as process
from training.loop.checkpoints import State
from training.loop.epochs import CHECKPOINT
from weight_port import WeightPortError

RECORD = "degradation.json"
DEPTHS = tuple(
    depth
    for depth in (int(n.removeprefix("plain")) for n in settings.MODELS if n.startswith("plain"))
    if set(degradation_record.names(depth)) <= set(settings.MODELS)
)
_DEFAULTS = {key: value for key, value in settings.DEFAULTS.items() if key != "model"}


def _depths(text: str) -> list[int]:
    try:
        found = [int(word) for word in text.split(",")]
    except ValueError:
        found = []
    if not found or len(set(found)) < len(found) or not set(found) <= set(DEPTHS):
        known = ", ".join(map(str, DEPTHS))
        raise argparse.ArgumentTypeError(f"{text}: depths with commas between, each once: {known}")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.degradation",
        description="Train plain networks and ResNets of the same depths one after the other, from "
        "the same seed on the same batches; draw their curves in one picture. The same command "
        "again goes on where it was stopped.",
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="made by python -m training.data")
    add("--out", type=Path, required=True, metavar="DIR", help=f"for {RECORD}, curves, trainings")
    add("--framework", choices=list(process.MODULES), default="torch")
    add("--depths", type=_depths, default=[20, 56], metavar="N,N", help="20,56 unless given")
    add("--threads", type=int, default=available_threads())
    settings.add_settings(parser)
    parser.epilog = settings.said(_DEFAULTS)
    return parser


def _settings(words: argparse.Namespace) -> dict[str, Any]:
    """All that the networks' trainings share."""
    given = {key: getattr(words, key) for key in _DEFAULTS}
    return {key: _DEFAULTS[key] if value is None else value for key, value in given.items()}


def _state(words: argparse.Namespace, name: str) -> State | None:
    """How far a network is; None: not begun. Raises TrainingError for another experiment's."""
    path = words.out / name / CHECKPOINT
    if not path.exists():
        return None
    state, wanted = checkpoints.load(path), {"model": name, **_settings(words)}
    other = [f"{key} {state.settings[key]}" for key in wanted if state.settings[key] != wanted[key]]
    frameworks = {line["framework"] for line in state.history} - {words.framework}
    other += [f"framework {framework}" for framework in sorted(frameworks)]
    if other:
        raise TrainingError(f"{path}: was begun with {', '.join(other)}; name another --out")
    return state


def _train(words: argparse.Namespace, name: str, begun: bool) -> int:
    """Every epoch that is left of one network; returns the exit status."""
    line = ["--framework", words.framework, "--data", str(words.data), *begun * ["--resume"]]
    line += ["--out", str(words.out / name), "--threads", str(words.threads)]
    for key, value in {"model": name, **_settings(words)}.items():
        line += [f"--{key.replace('_', '-')}", str(value)] if value is not None else []
    return command.main(line)


def _digest(data: Path) -> str:
    """SHA-256 of the images and labels, as ``training.data`` kept it and every training checks."""
    digest: str = json.loads((data / "about.json").read_text())["sha256"]
    return digest


def _finish(words: argparse.Namespace, names: Sequence[str]) -> None:
    states = {name: _state(words, name) for name in names}
    settings = {**_settings(words), "framework": words.framework, "depths": words.depths}
    settings |= {"threads": words.threads, "data": _digest(words.data)}
    record = degradation_record.make({n: state for n, state in states.items() if state}, settings)
    records.write(words.out / RECORD, record, force=True)
    try:
        curves.draw(degradation_record.runs(record), words.out)
    except ImportError as error:
        print(f"training.degradation: no curves: {error}", file=sys.stderr)
    print(f"{degradation_record.table(record, 'simple')}\n\n{degradation_record.legend(record)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    words = _parser().parse_args(arguments)
    names = [name for depth in words.depths for name in degradation_record.names(depth)]
    try:
        begun = {name: _state(words, name) for name in names}  # all, before hours are spent
        for name, state in begun.items():
            done = state is not None and state.epoch >= state.settings["epochs"]
            status = 0 if done else _train(words, name, state is not None)
            if status:
                print(
                    f"training.degradation: {name} did not end; the same command goes on",
                    file=sys.stderr,
                )
                return status
        _finish(words, names)
    except (TrainingError, WeightPortError, OSError) as error:
        print(f"training.degradation: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
