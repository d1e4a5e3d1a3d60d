"""The settings of a training: their defaults, and the options that set them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from training.loop import schedules
from weight_port import arch, terminal

MODELS = tuple(name for name, row in arch.ARCHITECTURES.items() if row.cifar)

# He et al. (2015), section 4.2, but for the number of epochs.
DEFAULTS: dict[str, Any] = {
    "model": "resnet20",
    "epochs": 164,
    "batch": 128,
    "rate": 0.1,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "schedule": "multistep",
    "seed": 0,
    "limit": None,
}


def _momentum(text: str) -> float:
    if not 0 <= (value := terminal.real(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be at least 0 and below 1")
    return value


def _weight_decay(text: str) -> float:
    if (value := terminal.real(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text!r} must be at least 0")
    return value


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the options of every setting but the network; each is None where it is not given."""
    add = parser.add_argument
    add("--epochs", type=terminal.whole(1), metavar="N")
    add("--batch", type=terminal.whole(1), metavar="N", help="images in a step")
    add("--rate", type=terminal.positive, help="of learning, at the start")
    add("--momentum", type=_momentum)
    add("--weight-decay", type=_weight_decay)
    add("--schedule", choices=schedules.NAMES)
    add("--seed", type=terminal.whole(0), help="of weights, order, crops and flips")
    add("--limit", type=terminal.whole(1), metavar="N",
        help="only the first N images of each part of the data")  # fmt: skip


def in_words(defaults: Mapping[str, Any]) -> str:
    """The values of settings that are not given, for --help."""
    values = "; ".join(f"{key} {value}" for key, value in defaults.items() if value is not None)
    return f"Defaults: {values}."
