"""The checkpoints that ``python -m benchmarks port`` converts: one network in every format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import weight_port
from parity import seeded
from weight_port.formats import files

Start = Callable[..., dict[str, Any]]  # start(framework, task, **job)

SHARDS = 3


def draw(folder: Path, model: str, seed: int) -> Path:
    """Seeded weights for the workers. The speed of a port does not depend on the values."""
    path = folder / f"{model}-drawn.safetensors"
    weight_port.write(path, seeded.draw(model, seed))
    return path


def save_in_paddle(folder: Path, model: str, drawn: Path, start: Start) -> Path:
    """``paddle.vision``'s checkpoint of a model, saved by Paddle. Raises WorkerError."""
    start("paddle", "save", weights=str(drawn), model=model, out=str(folder / model))
    return folder / f"{model}.pdparams"


def in_every_format(folder: Path, model: str, drawn: Path, start: Start) -> dict[str, Path]:
    """A source of every format that is read, beside those of ``save_in_paddle``.

    The frameworks' own writers write their formats, as far as they still can; Paddle 1.x's folder,
    shards and ``.npz`` come from ``weight_port``, whose tests hold them against others' writers.
    Raises WorkerError.
    """
    start("torch", "save", weights=str(drawn), model=model, out=str(folder / model))
    source = folder / f"{model}.pdparams"
    for suffix, to in (("", "paddle1"), (".safetensors", "torchvision"), (".npz", "torchvision")):
        weight_port.convert_file(source, folder / f"{model}{suffix}", to)
    return {
        "Paddle 1.x folder": folder / model,
        "pdparams, protocol 4": source,
        "pdparams, protocol 2": folder / f"{model}-2.pdparams",
        "pdiparams and program": folder / f"{model}.pdiparams",
        "safetensors": folder / f"{model}.safetensors",
        "safetensors, sharded": _shard(folder / f"{model}.safetensors"),
        "pth, zip": folder / f"{model}.pth",
        "pth, legacy": folder / f"{model}-legacy.pth",
        "npz, stored": folder / f"{model}.npz",
    }


def _shard(source: Path) -> Path:
    """The index of shards with the tensors of a .safetensors file."""
    tensors = weight_port.read(source)
    index: dict[str, str] = {}
    for number in range(SHARDS):
        names = list(tensors)[number::SHARDS]
        shard = source.with_name(f"{source.stem}-{number + 1}-of-{SHARDS}.safetensors")
        files.write(shard, {name: tensors[name] for name in names})
        index |= dict.fromkeys(names, shard.name)
    path = source.with_name(f"{source.stem}.safetensors.index.json")
    path.write_text(json.dumps({"weight_map": index}))
    return path
