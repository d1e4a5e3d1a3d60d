"""``python -m training``: train a network on CIFAR-10 in one framework, or continue in the other.

Exit status: 0 done, 1 the training failed, 2 wrong usage or not possible, 130 interrupted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parity.workers.launch import available_threads
from training import beginning, curves
from training.data import cifar
from training.errors import TrainingError
from training.loop import epochs, launch, lock
from training.loop.epochs import CHECKPOINT, LOG
from training.settings import DEFAULTS, MODELS, add_settings, in_words
from weight_port import WeightPortError, arch, terminal


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
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--resume",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="FILE",
        help=f"continue from FILE, or from DIR/{CHECKPOINT}, with the settings of that training; "
        "--epochs can be more than it was begun for",
    )
    start.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="begin with the weights of a ResNet, in any format and dialect, or of a checkpoint; "
        "where it has other classes, the classifier is the seed's",
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
    add(
        "--model",
        choices=tuple(arch.RESNETS),
        metavar="NAME",
        help=f"{', '.join(MODELS)}; with --weights any ResNet, and the file's if it isn't given",
    )
    add_settings(parser)
    parser.epilog = in_words(DEFAULTS)
    terminal.add_version(parser)
    return parser


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


def _train(args: argparse.Namespace) -> int:
    """Run the framework's process on what was asked; returns the exit status."""
    if args.weights is None and args.resume is None and args.model not in (None, *MODELS):
        raise TrainingError(f"--model {args.model}: is trained with --weights only")
    cifar.load(args.data, "test")  # before anything is written or a framework loaded
    args.out.mkdir(parents=True, exist_ok=True)
    with lock.held(args.out):
        state = beginning.state(args)
        how = _how(args, dict(state.settings))
        epochs.write(args.out, state)  # also what a run that was killed has not written
        left = state.settings["epochs"] - state.epoch
        status = _start(args, dict(state.settings), how) if left else 0
        _draw(args.out)
    if not status:
        history = curves.read(args.out)
        right = f"{history[-1]['test_accuracy']:.2%} of the test images are right"
        print(f"{args.out / CHECKPOINT}: {history[-1]['epoch']} epochs, {right}")
    return status


def _start(args: argparse.Namespace, settings: dict[str, Any], how: dict[str, Any]) -> int:
    """Train the epochs that are left; returns 0, or 1 where the process failed."""
    job = {
        "task": "train",
        "framework": args.framework,
        "data": str(args.data),
        "out": str(args.out),
        "resume": str(args.out / CHECKPOINT),
        "settings": settings,
        "how": how,
    }
    status = launch.start(args.framework, job)
    if status < 0:  # otherwise the process has said why
        terminal.progress(
            f"training: the {args.framework} process was ended by signal {-status}; --resume "
            "continues from the last epoch"
        )
    return int(status != 0)


def _draw(out: Path) -> None:
    """Draw the log's curves; another training's are removed before there is a log."""
    if not (out / LOG).exists():
        for name in beginning.CURVES:
            (out / name).unlink(missing_ok=True)
        return
    history = curves.read(out)
    try:
        curves.draw({curves.name(out, history): history}, out)
    except ImportError as error:
        terminal.progress(f"training: no curves: {error}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    args = _parser().parse_args(arguments)
    errors = (TrainingError, WeightPortError, OSError)
    left = "--resume continues from the last epoch"
    return terminal.run("training", lambda: _train(args), errors, left)


if __name__ == "__main__":
    raise SystemExit(terminal.until_closed(main))
