"""``python -m training``: train a network on CIFAR-10 in one framework, or continue in the other.

Exit status: 0 done, 1 the training failed, 2 wrong usage or not possible, 130 interrupted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parity.workers.launch import available_threads
from training import curves
from training.data import cifar
from training.errors import CheckpointError, TrainingError
from training.loop import checkpoints, launch
from training.loop.epochs import CHECKPOINT, LOG
from training.settings import DEFAULTS, MODELS, add_settings, in_words
from weight_port import WeightPortError, terminal


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train a network on CIFAR-10. Both frameworks begin with the same weights and "
        "get the same images in the same order. A checkpoint is written after every epoch; "
        "--resume continues from it, in either framework.",
    )
    add, whole = parser.add_argument, terminal.whole(1)
    add("--framework", choices=list(launch.MODULES), required=True)
    add("--data", type=Path, required=True, metavar="DIR", help="made by python -m training.data")
    add("--out", type=Path, required=True, metavar="DIR", help=f"for {CHECKPOINT}, {LOG}, curves")
    add(
        "--resume",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="FILE",
        help=f"continue from FILE, or from DIR/{CHECKPOINT}, with the settings of that training",
    )
    add("--force", action="store_true", help="begin anew where DIR has a training")
    add("--threads", type=whole, default=available_threads(), help="of all workers together")
    add(
        "--workers",
        type=whole,
        default=1,
        metavar="N",
        help="processes that share every batch, started by the framework's launcher (torchrun, "
        "paddle.distributed.launch); batch norms take the statistics of a worker's own images",
    )
    add("--device", choices=("cpu", "gpu"), default="cpu", help="gpu: one for each worker (nccl)")
    precisions = sorted({name for names in launch.PRECISIONS.values() for name in names})
    add("--precision", choices=precisions, default="float32", help="bfloat16: autocast; torch only")
    add("--channels-last", action="store_true", help="convolutions in NHWC; torch only")
    add("--model", choices=MODELS, metavar="NAME", help=", ".join(MODELS))
    add_settings(parser)
    parser.epilog = in_words(DEFAULTS)
    terminal.add_version(parser)
    return parser


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that the user named."""
    settings = {key: getattr(args, key) for key in DEFAULTS}
    return {key: value for key, value in settings.items() if value is not None}


def _how(args: argparse.Namespace, settings: dict[str, Any]) -> dict[str, Any]:
    """The fields of a ``side.How``. Raises TrainingError for what the framework can't do."""
    workers, batch = args.workers, settings["batch"]
    if args.precision not in launch.PRECISIONS[args.framework]:
        precisions = ", ".join(launch.PRECISIONS[args.framework])
        raise TrainingError(
            f"--precision {args.precision}: {args.framework} has no kernels for it on CPUs; "
            f"choose {precisions}"
        )
    if args.channels_last and "NHWC" not in launch.LAYOUTS[args.framework]:
        raise TrainingError(f"--channels-last: not in {args.framework}; leave it out")
    images = min(settings["limit"] or cifar.TRAIN, cifar.TRAIN)
    last = images % batch or min(batch, images)
    if last < workers:
        raise TrainingError(
            f"--workers {workers}: an epoch's last batch has {last} of {images} images, and each "
            "worker needs one; choose another --batch"
        )
    return {
        "threads": max(1, args.threads // workers),
        "workers": workers,
        "precision": args.precision,
        "channels_last": args.channels_last,
        "device": args.device,
    }


def _resumed(args: argparse.Namespace) -> tuple[Path | None, dict[str, Any]]:
    """The checkpoint to continue from, None for none, and the settings."""
    given = _given(args)
    own = args.out / CHECKPOINT
    if args.resume is None:
        if own.exists() and not args.force:
            raise TrainingError(f"{own}: exists; --resume continues, --force begins anew")
        return None, {**DEFAULTS, **given}
    path = own if args.resume == Path() else args.resume
    if path == own and not own.exists():  # killed before its first epoch ended
        terminal.progress(f"{own}: not there yet; beginning")
        return None, {**DEFAULTS, **given}
    if path != own and own.exists() and not args.force:
        raise TrainingError(f"{own}: exists; name another --out, or --force")
    state = checkpoints.load(path)
    other = [key for key, value in given.items() if state.settings[key] != value]
    if other:
        raise CheckpointError(
            f"{path}: was begun with {', '.join(f'{k} {state.settings[k]}' for k in other)}; leave "
            "the options out, or begin anew"
        )
    return path, dict(state.settings)


def _train(args: argparse.Namespace) -> int:
    """Run the framework's process on what was asked; returns the exit status."""
    checkpoint, settings = _resumed(args)
    how = _how(args, settings)
    cifar.load(args.data, "test")  # before a framework is loaded
    args.out.mkdir(parents=True, exist_ok=True)
    job = {
        "task": "train",
        "framework": args.framework,
        "data": str(args.data),
        "out": str(args.out),
        "resume": checkpoint and str(checkpoint),
        "settings": settings,
        "how": how,
    }
    if status := launch.start(args.framework, job):
        if status < 0:  # otherwise the process has said why
            terminal.progress(
                f"training: the {args.framework} process was ended by signal {-status}; --resume "
                "continues from the last epoch"
            )
        return 1
    _finish(args.out)
    return 0


def _finish(out: Path) -> None:
    """Draw the curves, and print how the training ended."""
    history = curves.read(out)
    try:
        curves.draw({curves.name(out, history): history}, out)
    except ImportError as error:
        terminal.progress(f"training: no curves: {error}")
    right = f"{history[-1]['test_accuracy']:.2%} of the test images are right"
    print(f"{out / CHECKPOINT}: {history[-1]['epoch']} epochs, {right}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    args = _parser().parse_args(arguments)
    errors = (TrainingError, WeightPortError, OSError)
    left = "--resume continues from the last epoch"
    return terminal.run("training", lambda: _train(args), errors, left)


if __name__ == "__main__":
    raise SystemExit(terminal.until_closed(main))
