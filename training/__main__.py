"""``python -m training``: train a network on CIFAR-10 in one framework, or go on in the other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parity.workers.launch import available_threads
from training import curves
from training.data import cifar
from training.errors import CheckpointError, TrainingError
from training.loop import checkpoints
from training.loop import launch as process
from training.loop.epochs import CHECKPOINT, LOG
from training.settings import DEFAULTS, MODELS, add_settings, said


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train a network on CIFAR-10. Both frameworks begin with the same weights and "
        "see the same images in the same order. A checkpoint is written after every epoch; "
        "--resume goes on from it, in either framework.",
    )
    add = parser.add_argument
    add("--framework", choices=list(process.MODULES), required=True)
    add("--data", type=Path, required=True, metavar="DIR", help="made by python -m training.data")
    add("--out", type=Path, required=True, metavar="DIR", help=f"for {CHECKPOINT}, {LOG}, curves")
    add(
        "--resume",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="FILE",
        help=f"go on from FILE, or from DIR/{CHECKPOINT}; the settings are those of then",
    )
    add("--force", action="store_true", help="begin anew where DIR has a training")
    add("--threads", type=int, default=available_threads(), help="of all workers together")
    add(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes that share every batch, started by the framework's launcher (torchrun, "
        "paddle.distributed.launch); batch norms take the statistics of a worker's own images",
    )
    add("--device", choices=("cpu", "gpu"), default="cpu", help="gpu: one for each worker (nccl)")
    precisions = sorted({name for names in process.PRECISIONS.values() for name in names})
    add("--precision", choices=precisions, default="float32", help="bfloat16: autocast; torch's")
    add("--channels-last", action="store_true", help="convolutions in NHWC; torch's")
    add("--model", choices=MODELS, metavar="NAME", help=", ".join(MODELS))
    add_settings(parser)
    parser.epilog = said(DEFAULTS)
    return parser


def _given(words: argparse.Namespace) -> dict[str, Any]:
    """The settings that the user named."""
    found = {key: getattr(words, key) for key in DEFAULTS}
    return {key: value for key, value in found.items() if value is not None}


def _check(settings: dict[str, Any]) -> None:
    for key in ("epochs", "batch", "limit"):
        if settings[key] is not None and settings[key] < 1:
            raise TrainingError(f"--{key} {settings[key]}: at least 1")
    if settings["rate"] <= 0 or not 0 <= settings["momentum"] < 1 or settings["weight_decay"] < 0:
        raise TrainingError("--rate is above 0, --momentum in [0, 1), --weight-decay 0 or above")


def _how(words: argparse.Namespace, settings: dict[str, Any]) -> dict[str, Any]:
    """What ``sides.How`` is made of. Raises TrainingError for what can't be."""
    workers, batch = words.workers, settings["batch"]
    for key in ("threads", "workers"):
        if getattr(words, key) < 1:
            raise TrainingError(f"--{key} {getattr(words, key)}: at least 1")
    if words.precision not in process.PRECISIONS[words.framework]:
        there = ", ".join(process.PRECISIONS[words.framework])
        raise TrainingError(
            f"--precision {words.precision}: {words.framework} has no kernels for it on CPUs; "
            f"choose {there}"
        )
    if words.channels_last and "NHWC" not in process.LAYOUTS[words.framework]:
        raise TrainingError(f"--channels-last: not in {words.framework}; leave it out")
    images = min(settings["limit"] or cifar.TRAIN, cifar.TRAIN)
    last = images % batch or min(batch, images)
    if last < workers:
        raise TrainingError(
            f"--workers {workers}: an epoch's last batch has {last} of {images} images, and each "
            "worker needs one; choose another --batch"
        )
    return {
        "threads": max(1, words.threads // workers),
        "workers": workers,
        "precision": words.precision,
        "channels_last": words.channels_last,
        "device": words.device,
    }


def _resumed(words: argparse.Namespace) -> tuple[Path | None, dict[str, Any]]:
    """The checkpoint to go on from, None for none, and the settings."""
    given = _given(words)
    own = words.out / CHECKPOINT
    if words.resume is None:
        if own.exists() and not words.force:
            raise TrainingError(f"{own}: exists; --resume goes on, --force begins anew")
        return None, {**DEFAULTS, **given}
    path = own if words.resume == Path() else words.resume
    if path == own and not own.exists():  # killed before its first epoch ended
        print(f"{own}: not there yet; beginning", file=sys.stderr)
        return None, {**DEFAULTS, **given}
    if path != own and own.exists() and not words.force:
        raise TrainingError(f"{own}: exists; name another --out, or --force")
    state = checkpoints.load(path)
    other = [key for key, value in given.items() if state.settings[key] != value]
    if other:
        raise CheckpointError(
            f"{path}: was begun with {', '.join(f'{k} {state.settings[k]}' for k in other)}; leave "
            "the options out, or begin anew"
        )
    return path, dict(state.settings)


def train(words: argparse.Namespace) -> int:
    """Run the framework's process on what was asked; returns its exit status."""
    path, settings = _resumed(words)
    _check(settings)
    how = _how(words, settings)
    cifar.load(words.data, "test")  # before a framework is loaded
    words.out.mkdir(parents=True, exist_ok=True)
    job = {
        "task": "train",
        "framework": words.framework,
        "data": str(words.data),
        "out": str(words.out),
        "resume": path and str(path),
        "settings": settings,
        "how": how,
    }
    return process.start(words.framework, job)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    words = _parser().parse_args(arguments)
    try:
        status = train(words)
    except (TrainingError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("training: stopped; --resume goes on from the last epoch", file=sys.stderr)
        return 130
    if status == 0:
        _finish(words.out)
    return status


def _finish(out: Path) -> None:
    """Draw the curves, and say how it ended."""
    history = curves.read(out)
    try:
        curves.draw({curves.name(out, history): history}, out)
    except ImportError as error:
        print(f"training: no curves: {error}", file=sys.stderr)
    right = f"{history[-1]['test_accuracy']:.2%} of the test images are right"
    print(f"{out / CHECKPOINT}: {history[-1]['epoch']} epochs, {right}")


if __name__ == "__main__":
    raise SystemExit(main())
