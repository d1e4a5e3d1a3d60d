"""A layer's output as one small file: written as it is computed, memory-mapped to compare."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import weight_port
from weight_port import safetensors_file


def save_output(folder: Path, name: str, array: np.ndarray) -> None:
    """Write an output; a layer that runs twice would overwrite itself and is an error."""
    with open(folder / f"{name}.safetensors", "xb") as stream:
        safetensors_file.write(stream, {name: array})


def load_output(folder: Path, name: str) -> np.ndarray | None:
    """The output as a view of its file, None where the layer gave none."""
    path = folder / f"{name}.safetensors"
    return weight_port.read(path)[name] if path.exists() else None
