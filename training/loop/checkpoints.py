"""Checkpoints: a training's state in one file, from which either framework can continue.

``.safetensors``: the weights as ``weights/NAME``, SGD's buffers as ``momentum/NAME``, both under
the scheme's names and in its layout (``weight_port``'s dialect paddle1), and in the metadata the
rest as JSON (``schema.json``) and a SHA-256 of all of it. SGD with momentum is the same arithmetic
in both frameworks (torch.optim.SGD without dampening, paddle.optimizer.Momentum):
v = m v + (g + d w), w = w - rate v.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parity import records
from training.data.cifar import CLASSES
from training.errors import CheckpointError
from weight_port import WeightPortError, arch, read
from weight_port.errors import shown
from weight_port.formats import safetensors
from weight_port.storage import disk, json_data
from weight_port.storage.buffers import raw_bytes

SCHEMA = Path(__file__).with_name("schema.json")
FORMAT = 2  # 1 had no digest
_KEY, _DIGEST = "training", "sha256"
_WEIGHTS, _MOMENTUM = "weights/", "momentum/"
_DTYPES = ("float32", "float64")
_SHOWN = 4  # names in a message
_BEGIN = "--weights FILE begins a training with the weights of a network"
_ANEW = "take a copy of it, or begin anew (--force)"

Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class State:
    """Everything that the next epoch depends on."""

    weights: Tensors
    momentum: Tensors
    epoch: int  # how many are done
    schedule: Mapping[str, Any]
    settings: Mapping[str, Any]  # see ``training.settings``
    history: list[dict[str, Any]]  # a line per epoch


def save(path: Path, state: State) -> None:
    """Write a checkpoint in place of an older one, whole or not at all.

    Raises weight_port.DestinationError, ValueError for numbers that are not finite.
    """
    tensors = {f"{_WEIGHTS}{name}": array for name, array in state.weights.items()}
    tensors |= {f"{_MOMENTUM}{name}": array for name, array in state.momentum.items()}
    about = {
        "format": FORMAT,
        "epoch": state.epoch,
        "schedule": dict(state.schedule),
        "settings": dict(state.settings),
        "history": state.history,
    }
    text = json.dumps(about, allow_nan=False)
    with disk.new_file(path, force=True) as stream:
        safetensors.write(stream, tensors, {_KEY: text, _DIGEST: _digest(tensors, text)})


def load(path: Path) -> State:
    """The state in a checkpoint. Raises CheckpointError for any other file, or a changed one."""
    try:
        texts, tensors = safetensors.read_metadata(path), dict(read(path))
    except (WeightPortError, OSError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise CheckpointError(f"{path}: no checkpoint of a training: {reason}; {_BEGIN}") from None
    if _KEY not in texts:
        raise CheckpointError(
            f"{path}: no checkpoint of a training: it has tensors, but no settings and no epoch; "
            f"{_BEGIN}"
        )
    about = _about(path, texts[_KEY])
    if texts.get(_DIGEST) != _digest(tensors, texts[_KEY]):
        raise CheckpointError(
            f"{path}: has changed since it was written (its SHA-256 is another); {_ANEW}"
        )
    return _state(path, about, tensors)


def _digest(tensors: Tensors, text: str) -> str:
    """SHA-256 of the JSON text and of every tensor's name, dtype, shape and bytes."""
    sha256 = hashlib.sha256(text.encode())
    for name, array in sorted(tensors.items()):
        sha256.update(f"\0{name}\0{array.dtype}\0{array.shape}\0".encode())
        sha256.update(raw_bytes(array))
    return sha256.hexdigest()


def _about(path: Path, text: str) -> dict[str, Any]:
    """What the checkpoint says of its training, as the schema has it. Raises CheckpointError."""
    data = text.encode()
    try:
        about = json_data.load(memoryview(data), len(data))
        json.dumps(about, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: what it says of its training is damaged ({error!s:.200}); {_ANEW}"
        ) from None
    version = about.get("format") if isinstance(about, dict) else None
    if version != FORMAT:
        raise CheckpointError(
            f"{path}: a checkpoint of format {shown(version)}, and this version has {FORMAT}; "
            "continue it with the version that wrote it, or begin anew"
        )
    if problems := records.problems(about, SCHEMA):
        raise CheckpointError(f"{path}: damaged: {problems[0]:.300}; {_ANEW}")
    result: dict[str, Any] = about
    return result


def _state(path: Path, about: dict[str, Any], tensors: Tensors) -> State:
    """The state, of parts that fit together. Raises CheckpointError."""
    model, epoch, history = about["settings"]["model"], about["epoch"], about["history"]
    if model not in arch.RESNETS:
        raise CheckpointError(f"{path}: of the network {shown(model)}, which this version lacks")
    if [line["epoch"] for line in history] != list(range(1, epoch + 1)):
        raise CheckpointError(
            f"{path}: damaged: after epoch {epoch}, with a history of {len(history)} lines; {_ANEW}"
        )
    weights, momentum = _part(tensors, _WEIGHTS), _part(tensors, _MOMENTUM)
    if problem := _problem(model, tensors, weights, momentum):
        raise CheckpointError(f"{path}: not a whole state of {model}: {problem}; {_ANEW}")
    return State(weights, momentum, epoch, about["schedule"], about["settings"], history)


def _part(tensors: Tensors, prefix: str) -> dict[str, np.ndarray]:
    """Copies of the tensors whose names begin so, without the prefix."""
    return {
        name.removeprefix(prefix): np.array(array)
        for name, array in tensors.items()
        if name.startswith(prefix)
    }


def _problem(model: str, tensors: Tensors, weights: Tensors, momentum: Tensors) -> str:
    """What keeps the tensors from being a network's and its optimizer's; "" for nothing."""
    shapes = {p.name: p.shape for p in arch.parameters(model, len(CLASSES))}
    trained = trainable(model)
    if len(tensors) != len(weights) + len(momentum):
        prefixes = (_WEIGHTS, _MOMENTUM)
        return _names("unknown", [n for n in tensors if not n.startswith(prefixes)])
    for part, given, wanted in (
        ("weights", weights, shapes),
        ("buffers", momentum, {name: shapes[name] for name in trained} if momentum else {}),
    ):
        for what, names in (
            ("missing", [name for name in wanted if name not in given]),
            ("unknown", [name for name in given if name not in wanted]),
            ("of another shape", [n for n in given if given[n].shape != wanted.get(n)]),
        ):
            if names:
                return _names(f"{part} {what}", names)
    if {array.dtype.name for array in tensors.values()} not in ({dtype} for dtype in _DTYPES):
        return f"its tensors are not all of one dtype, {' or '.join(_DTYPES)}"
    return _names("not finite", [n for n, a in tensors.items() if not np.isfinite(a).all()])


def trainable(model: str) -> list[str]:
    """The names of the parameters that SGD changes, and has a buffer for."""
    parameters = arch.parameters(model, len(CLASSES))
    return [p.name for p in parameters if p.role not in ("mean", "variance")]


def _names(what: str, names: list[str]) -> str:
    """Some of the names, made short; "" for none."""
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{what}: {', '.join(map(shown, names[:_SHOWN]))}{more}"
