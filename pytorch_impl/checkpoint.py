"""A model from a checkpoint in one call; the mirror of ``paddle_impl/checkpoint.py``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

import weight_port
from pytorch_impl.resnet import MODELS, ResNet
from weight_port.contents import Contents
from weight_port.files import open_checkpoint
from weight_port.naming import recognise


def to_tensor(array: np.ndarray) -> torch.Tensor:
    """A copy as a torch tensor of the same shape and dtype, bfloat16 included."""
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def load_weights(model: ResNet, tensors: Mapping[str, np.ndarray]) -> None:
    """Put tensors in any dialect into ``model``, which takes their dtype.

    Their names may all begin with a wrapper's prefix (``module.`` and others of
    ``weight_port.naming``). Raises weight_port.MismatchError where they are not the model's; it is
    unchanged then.
    """
    seen = recognise(Contents(dict(tensors)))
    found = seen.found
    if model.architecture not in (found.architecture, *found.twins):
        raise weight_port.MismatchError(
            f"the weights are those of {found.architecture}, the model is {model.architecture}"
        )
    state = weight_port.convert(
        seen.tensors, "pytorch_impl", include_top=model.include_top, architecture=model.architecture
    )
    model.to(to_tensor(next(iter(state.values()))).dtype)
    model.load_state_dict({key: to_tensor(array) for key, array in state.items()}, strict=True)


def load(path: str | Path, include_top: bool = True, architecture: str | None = None) -> ResNet:
    """The model that a checkpoint holds, in evaluation mode, in the checkpoint's dtype.

    The file may be in any format and dialect that ``weight_port`` reads, under a wrapper's prefix
    (``module.``) too; its keys and shapes say which depth and form it is; ``architecture`` names
    the form where they leave it open (``resnet50`` has the tensors of ``resnet50_v1``).
    ``include_top=False`` leaves the classifier out. Raises weight_port.WeightPortError for a file
    that is not exactly one of our networks.
    """
    seen = recognise(open_checkpoint(path).contents, architecture=architecture)
    found = seen.found
    model = MODELS[found.architecture](found.num_classes, found.in_channels, include_top)
    load_weights(model, seen.tensors)
    return model.eval()
