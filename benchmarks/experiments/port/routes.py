"""The way without this suite: ``paddle.load``, rename, transpose, save.

``python -m benchmarks.experiments.port.routes safetensors|torch SRC DST``: the script that someone
with both frameworks installed would write for a ``paddle.vision`` checkpoint. The one process here
that imports two frameworks, because the route does.
"""

from __future__ import annotations

import sys
from typing import Any

NAMES = {"._mean": ".running_mean", "._variance": ".running_var"}


def _load(path: str) -> dict[str, Any]:
    """torchvision's names and layout, as NumPy arrays."""
    import numpy as np
    import paddle

    tensors = {}
    for key, array in paddle.load(path, return_numpy=True).items():
        stem, dot, role = key.rpartition(".")
        name = stem + NAMES.get(dot + role, dot + role)
        tensors[name] = np.ascontiguousarray(array.T) if key == "fc.weight" else array
    return tensors


def to_safetensors(source: str, destination: str) -> None:
    """With the ``safetensors`` package."""
    from safetensors.numpy import save_file

    save_file(_load(source), destination)


def to_torch(source: str, destination: str) -> None:
    """With ``torch.save``."""
    import torch

    tensors = {key: torch.from_numpy(array) for key, array in _load(source).items()}
    torch.save(tensors, destination)


ROUTES = {"safetensors": to_safetensors, "torch": to_torch}

if __name__ == "__main__":
    ROUTES[sys.argv[1]](*sys.argv[2:])
