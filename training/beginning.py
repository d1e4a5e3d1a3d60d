"""What a training begins with: weights of the seed or of a file, or a checkpoint's state."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import weight_port
from training import curves
from training.data.cifar import CLASSES, SIDE
from training.errors import CheckpointError, TrainingError
from training.loop import checkpoints, epochs, event_files
from training.loop.checkpoints import State
from training.loop.epochs import CHECKPOINT, LOG, WEIGHTS
from training.settings import DEFAULTS
from weight_port import Recognised, arch, terminal
from weight_port.conversion import twins
from weight_port.conversion.convert import convert_detected
from weight_port.storage.digest import Digest

_CHANNELS = 3
CURVES = tuple(f"curves.{form}" for form in curves.FORMATS)
FILES = (CHECKPOINT, WEIGHTS, LOG, *event_files.FILES, *CURVES)  # of a training, in its folder


def state(args: argparse.Namespace) -> State:
    """The state that the command's training begins with. Raises TrainingError, WeightPortError."""
    given = {key: getattr(args, key) for key in DEFAULTS}
    given = {key: value for key, value in given.items() if value is not None}
    own = args.out / CHECKPOINT
    if args.resume is not None:
        path = own if args.resume == Path() else args.resume
        if own.exists() and not (path.exists() and path.samefile(own)) and not args.force:
            raise TrainingError(f"{own}: exists; name another --out, or --force")
        if path != own or own.exists():
            return _continued(path, given)
    elif own.exists() and not args.force:
        raise TrainingError(f"{own}: exists; --resume continues, --force begins anew")
    if (others := [n for n in FILES if (args.out / n).exists()]) and not args.force:
        raise TrainingError(
            f"{args.out}: has {', '.join(others)}, and no {CHECKPOINT} to continue from; name "
            "another --out, or --force"
        )
    if args.resume is not None:
        terminal.progress(f"{own}: not there yet; beginning")
    if args.weights is not None:
        return _from_weights(args.weights, given)
    return epochs.begin({**DEFAULTS, **given})


def _continued(path: Path, given: dict[str, Any]) -> State:
    """A checkpoint's state, with as many epochs as are now asked for. Raises CheckpointError."""
    found = checkpoints.load(path)
    settings = dict(found.settings)
    other = [key for key, value in given.items() if settings[key] != value and key != "epochs"]
    if other:
        raise CheckpointError(
            f"{path}: was begun with {', '.join(f'{k} {settings[k]}' for k in other)}; leave "
            "the options out, or begin anew"
        )
    count = given.get("epochs", settings["epochs"])
    if count < found.epoch:
        raise CheckpointError(
            f"{path}: has {found.epoch} epochs already; ask for that many or more with --epochs, "
            "or begin anew"
        )
    if count != settings["epochs"]:
        terminal.progress(
            f"{path}: was begun for {settings['epochs']} epochs; the schedule "
            f"{settings['schedule']} is from now on that of {count}"
        )
    return replace(found, settings={**settings, "epochs": count})


def _from_weights(path: Path, given: dict[str, Any]) -> State:
    """A new training's state, with the weights of a file, or of a checkpoint of another training.

    A classifier of other classes than CIFAR-10's, or none, is replaced by one of the seed.
    """
    recognised = weight_port.recognise(_contents(path), architecture=given.get("model"))
    detection = recognised.detection
    model = detection.architecture
    _check_network(path, recognised)
    settings = {**DEFAULTS, **given, "model": model, "weights": _digest(path)}
    top = detection.include_top and detection.num_classes == len(CLASSES)
    converted = convert_detected(recognised.tensors, "paddle1", detection, detection.include_top)
    begun = epochs.begin(settings)
    replaced = {
        parameter.name
        for layer in arch.layers(model, len(CLASSES))
        if not top and layer.name in arch.class_layers(model)
        for parameter in layer.parameters
    }
    weights = {
        name: drawn if name in replaced else _float32(converted[name])
        for name, drawn in begun.weights.items()
    }
    terminal.progress(f"{path}: {_in_words(recognised, bool(replaced))}")
    return replace(begun, weights=weights)


def _contents(path: Path) -> Any:
    """What ``recognise`` takes: the weights of a checkpoint of ours, else the path of any file."""
    try:
        return dict(checkpoints.load(path).weights)
    except CheckpointError:
        return path


def _check_network(path: Path, recognised: Recognised) -> None:
    """Raises TrainingError for a network that can't be trained on CIFAR-10's images."""
    detection = recognised.detection
    if detection.architecture not in arch.RESNETS or detection.in_channels != _CHANNELS:
        raise TrainingError(
            f"{path}: {detection.architecture} with {detection.in_channels} input channels: only "
            f"ResNets for images of {_CHANNELS} channels are trained"
        )
    wrong = [n for n, a in recognised.tensors.items() if not np.isfinite(a).all()]
    if wrong:
        raise TrainingError(
            f"{path}: {len(wrong)} of {len(recognised.tensors)} tensors have numbers that are not "
            f"finite, {wrong[0]!r:.80} among them: no training leads back from them"
        )


def _float32(array: np.ndarray) -> np.ndarray:
    """A copy in float32. Raises TrainingError where it doesn't hold a number."""
    with np.errstate(over="ignore"):
        cast = np.array(array, np.float32)
    if not np.isfinite(cast).all():
        raise TrainingError("--weights: has numbers beyond float32's")
    return cast


def _digest(path: Path) -> str | None:
    return Digest(path).result() if path.is_file() else None


def _in_words(recognised: Recognised, replaced: bool) -> str:
    """What was taken from a file, and what the tensors leave open."""
    detection = recognised.detection
    parts = [f"the weights of {detection.architecture}, in {detection.dialect}"]
    if recognised.others:
        parts += recognised.notes
    if replaced:
        classes = f"of {detection.num_classes} classes" if detection.include_top else "is missing"
        parts.append(f"its classifier {classes}, so one of {len(CLASSES)} is drawn from the seed")
    if detection.architecture not in _cifars():
        parts.append(f"made for larger images than {SIDE}x{SIDE}")
    if others := twins.names(detection):
        parts.append(f"by its tensors it could be {others} too; --model chooses among ours")
    return "; ".join(parts)


def _cifars() -> list[str]:
    return [name for name, row in arch.RESNETS.items() if row.cifar]
