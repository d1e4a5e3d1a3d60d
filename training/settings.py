"""What a training can be told: its settings, their defaults and the options that set them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from training.loop import schedules
from weight_port import arch

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


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The options of all that a training depends on but for its network; None where not given."""
    add = parser.add_argument
    add("--epochs", type=int, metavar="N")
    add("--batch", type=int, metavar="N", help="images in a step")
    add("--rate", type=float, help="of learning, at the start")
    add("--momentum", type=float)
    add("--weight-decay", type=float)
    add("--schedule", choices=schedules.NAMES)
    add("--seed", type=int, help="of weights, order, crops and flips")
    add("--limit", type=int, metavar="N", help="of each part of the data, the first N images alone")


def said(defaults: Mapping[str, Any]) -> str:
    """What settings are where they aren't given, for --help."""
    found = "; ".join(f"{key} {value}" for key, value in defaults.items() if value is not None)
    return f"Defaults: {found}."
