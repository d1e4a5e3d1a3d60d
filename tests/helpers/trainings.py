"""States of trainings that were not run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from training.loop import checkpoints, epochs
from training.loop.checkpoints import State
from training.settings import DEFAULTS


def history(count: int) -> list[dict[str, Any]]:
    """The log's lines of as many epochs, a little better each time."""
    return [
        {
            "epoch": number,
            "framework": "torch",
            "rate": 0.1,
            "train_loss": 2 / number,
            "train_accuracy": 1 - 1 / (number + 1),
            "seconds": 1.5,
            "images_per_second": 64.0,
            "test_loss": 2.5 / number,
            "test_accuracy": 1 - 1.5 / (number + 1),
            "time": 1.7e9 + number,
        }
        for number in range(1, count + 1)
    ]


def state(epoch: int, **settings: Any) -> State:
    """The whole state after an epoch; every epoch has other weights and buffers."""
    begun = epochs.begin({**DEFAULTS, "epochs": 4, **settings})
    weights = {name: array + np.float32(epoch) for name, array in begun.weights.items()}
    names = checkpoints.trainable(begun.settings["model"]) if epoch else []
    momentum = {name: weights[name] / 2 for name in names}
    return replace(begun, weights=weights, momentum=momentum, epoch=epoch, history=history(epoch))
