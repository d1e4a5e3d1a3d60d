"""What a run is given: checked weights, images (real or synthetic) and labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import weight_port
from parity import images, seeded
from parity.comparison.precision import PRECISIONS, overflow
from parity.run.results import FRAMEWORKS, Subject
from weight_port import arch
from weight_port.conversion import twins

COUNT = 4  # images where none are given
Say = Callable[[str], None]


class UsageError(Exception):
    """The command's arguments are wrong, or don't fit one another."""


@dataclass(frozen=True)
class Given:
    """What the user gave for one model; None or empty where nothing was given."""

    weights: Path | None = None
    torch_weights: Path | None = None
    images: Sequence[Path] = ()
    size: int | None = None  # the network's own
    seed: int = 0


def check_weights(path: Path, model: str, say: Say = lambda _: None) -> weight_port.Detection:
    """Refuse, before anything runs, a checkpoint that is not the named model's.

    What the file may be of instead is said.
    Raises UsageError for another network's, weight_port.WeightPortError for a damaged one.
    """
    recognised = weight_port.recognise(path)
    detection = recognised.detection
    if model != detection.architecture and model not in detection.twins:
        raise UsageError(f"{path}: holds {detection.architecture}, not {model}")
    weight_port.check(recognised.tensors, detection)
    if line := twins.short(detection):
        say(f"{path}: {line}")
    return detection


def _batch(given: Given, model: str, channels: int, where: str) -> np.ndarray:
    row = arch.architecture(model)
    size = row.size if given.size is None else given.size
    if row.fixed and size != row.size:
        raise UsageError(f"{model}: takes images of {row.size} pixels only, not {size}")
    if not given.images:
        return images.synthetic(COUNT, channels, size, given.seed)
    if channels != 3:
        raise UsageError(f"{where}: takes {channels} channels; photographs have 3")
    return images.batch(given.images, size)


def check_pixels(model: str, pixels: int, why: str) -> None:
    """Refuse images of which some batch norm sees one pixel each, where it takes its statistics.

    The variance of so few values may be as small as their rounding, which dividing by its root
    makes as large as the values: equal frameworks would differ. ``why`` says what takes them.
    Raises UsageError.
    """

    def single(size: int) -> list[str]:
        sides = arch.sides(model, size)
        norms = (layer.name for layer in arch.layers(model) if layer.kind == "batch_norm")
        return [name for name in norms if sides[name][1] <= 1]

    if not (norms := single(pixels)):
        return
    enough = next(size for size in range(pixels, arch.architecture(model).size + 1)
                  if not single(size))  # fmt: skip
    raise UsageError(
        f"{model}: at {pixels} pixels {norms[0]} sees one pixel of an image, and {why}: statistics "
        "of so few values make rounding as large as the values, so that equal frameworks would "
        f"differ; take images of at least {enough} pixels (--size)"
    )


def check_casts(
    weights: Mapping[str, Mapping[str, np.ndarray]],
    images: np.ndarray,
    precisions: Sequence[str],
) -> None:
    """Refuse a precision that would make a weight, or an image's value, infinite.

    ``weights`` are each framework's tensors by name. Raises UsageError.
    """
    tensors = {f"{side}'s {name}": x for side, held in weights.items() for name, x in held.items()}
    for name, array in {**tensors, "images": images}.items():
        for precision in precisions:
            if (largest := overflow(array, precision)) is not None:
                able = [other for other in PRECISIONS if overflow(array, other) is None]
                raise UsageError(
                    f"{name}: holds {largest:g}, which {precision} makes infinite; run it in a "
                    f"precision that holds it: --precision {', '.join(able)}"
                )


def subject(model: str, given: Given, folder: Path, say: Say) -> Subject:
    """A model with its weights, images and labels; seeded weights are made in ``folder``.

    Raises UsageError, images.ImageError, weight_port.WeightPortError or launch.WorkerError.
    """
    if given.weights is None and given.torch_weights is not None:
        raise UsageError("--torch-weights is your port of --weights: name those too")
    path = given.weights
    if path is None:
        path = folder / f"{model}-seed{given.seed}.pdparams"
        batch = _batch(given, model, arch.architecture(model).in_channels, model)
        check_pixels(model, batch.shape[-1], "weights drawn from a seed are calibrated on them")
        say(f"{model}: weights drawn from seed {given.seed}, calibrated in Paddle")
        seeded.make(model, batch, path, seed=given.seed)
        detection = check_weights(path, model)
    else:
        detection = check_weights(path, model, say)
        batch = _batch(given, model, detection.in_channels, str(path))
    weights = dict.fromkeys(FRAMEWORKS, path)
    if given.torch_weights is not None:
        weights["torch"] = given.torch_weights
        port = check_weights(given.torch_weights, model, say)
        if (port.num_classes, port.in_channels) != (
            detection.num_classes,
            detection.in_channels,
        ):
            raise UsageError(
                f"{given.torch_weights}: {port.num_classes} classes of {port.in_channels} "
                f"channels, {path}: {detection.num_classes} of "
                f"{detection.in_channels}; the two must be the same network's"
            )
    classes = detection.sizes["num_classes"]
    labels = np.random.default_rng(given.seed).integers(classes, size=len(batch))
    origin = {side: str(file) for side, file in weights.items()}
    if given.weights is None:
        origin = dict.fromkeys(FRAMEWORKS, f"drawn from seed {given.seed}, calibrated in Paddle")
    return Subject(model, weights, batch, labels.astype(np.int64), origin)
