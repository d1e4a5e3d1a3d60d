"""Checkpoints: a training's state in one file, from which either framework can continue.

``.safetensors``: the weights as ``weights/NAME``, SGD's buffers as ``momentum/NAME``, both under
the scheme's names and in its layout (``weight_port``'s dialect paddle1), and the rest as JSON in
the metadata. SGD with momentum is the same arithmetic in both frameworks (torch.optim.SGD without
dampening, paddle.optimizer.Momentum): v = m v + (g + d w), w = w - rate v.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.errors import CheckpointError
from weight_port import WeightPortError, read
from weight_port.formats import safetensors
from weight_port.storage import disk

FORMAT = 1
_KEY = "training"


@dataclass(frozen=True)
class State:
    """Everything that the next epoch depends on."""

    weights: Mapping[str, np.ndarray]
    momentum: Mapping[str, np.ndarray]
    epoch: int  # how many are done
    schedule: Mapping[str, Any]
    settings: Mapping[str, Any]  # see ``training.settings``
    history: list[dict[str, Any]]  # a line per epoch


def save(path: Path, state: State) -> None:
    """Write a checkpoint in place of an older one, whole or not at all.

    Raises weight_port.DestinationError.
    """
    tensors = {f"weights/{name}": array for name, array in state.weights.items()}
    tensors |= {f"momentum/{name}": array for name, array in state.momentum.items()}
    about = {
        "format": FORMAT,
        "epoch": state.epoch,
        "schedule": dict(state.schedule),
        "settings": dict(state.settings),
        "history": state.history,
    }
    with disk.new_file(path, force=True) as stream:
        safetensors.write(stream, tensors, {_KEY: json.dumps(about)})


def load(path: Path) -> State:
    """The state in a checkpoint. Raises CheckpointError for any other file."""
    try:
        about = json.loads(safetensors.read_metadata(path)[_KEY])
        tensors = read(path)
    except (WeightPortError, OSError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: no checkpoint of a training ({error!r})") from None
    if about.get("format") != FORMAT:
        raise CheckpointError(f"{path}: format {about.get('format')}, this version has {FORMAT}")
    weights, momentum = (
        {
            name.removeprefix(part): np.array(array)
            for name, array in tensors.items()
            if name.startswith(part)
        }
        for part in ("weights/", "momentum/")
    )
    epoch, schedule, settings, history = (
        about[key] for key in ("epoch", "schedule", "settings", "history")
    )
    return State(weights, momentum, epoch, schedule, settings, history)
