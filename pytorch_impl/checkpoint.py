"""A model from a checkpoint in one call; the mirror of ``paddle_impl/checkpoint.py``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

import weight_port
from pytorch_impl.models import MODELS
from pytorch_impl.network import Network
from weight_port import arch
from weight_port.conversion import casts, twins
from weight_port.dialects.keys import keys


def to_tensor(array: np.ndarray) -> torch.Tensor:
    """A copy as a torch tensor of the same shape and dtype, bfloat16 included."""
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def load_weights(model: Network, tensors: Mapping[str, np.ndarray]) -> None:
    """Put tensors in any dialect into ``model``, which takes the widest of their dtypes.

    Their names may begin with any prefix, as ``weight_port.recognise`` finds it; a
    weight_port.PartWarning says what stands beside the network and is left out. Raises
    weight_port.MismatchError where they are not the model's; it is unchanged then.
    """
    recognised = weight_port.recognise(tensors)
    if recognised.others:
        warnings.warn("; ".join(recognised.notes), weight_port.PartWarning, stacklevel=2)
    _put(model, recognised)


def _put(model: Network, recognised: weight_port.Recognised, new_head: bool = False) -> None:
    """As ``load_weights``; a ``new_head`` stays as the model has it, and what the file lacks."""
    detection = recognised.detection
    if model.architecture not in (detection.architecture, *detection.twins):
        raise weight_port.MismatchError(
            f"the weights are those of {detection.architecture}, the model is {model.architecture}"
        )
    name = model.architecture
    top = model.include_top and (detection.include_top or not new_head)
    weight_port.check(recognised.tensors, detection, top)
    state = casts.unified(
        weight_port.convert(recognised.tensors, "pytorch_impl", include_top=top, architecture=name)
    )
    model.to(to_tensor(next(iter(state.values()))).dtype)
    layer = {key: entry.layer for key, entry in keys("pytorch_impl", name).items()}
    replaced = arch.class_layers(name) if new_head else ()
    loaded = {key: to_tensor(a) for key, a in state.items() if layer[key] not in replaced}
    missing = arch.top_layers(name) if new_head else ()
    own = {key: value for key, value in model.state_dict().items() if layer[key] in missing}
    model.load_state_dict({**own, **loaded}, strict=True)


def load(
    path: str | Path,
    include_top: bool = True,
    architecture: str | None = None,
    num_classes: int | None = None,
    *,
    key: str | None = None,
    prefix: str | None = None,
) -> Network:
    """The model that a checkpoint holds, in evaluation mode, in the widest of its dtypes.

    The file may be in any format and dialect that ``weight_port`` reads, behind any prefix and
    beside other modules too: a weight_port.PartWarning says what is left there, and ``key`` and
    ``prefix`` choose among several (see ``weight_port.recognise``). Its keys and shapes say which
    depth and form it is; ``architecture`` names the form where they leave it open (``resnet50`` has
    the tensors of ``resnet50_v1``). Where they do, a weight_port.TwinWarning says what else the
    file may be; naming the network settles it. ``include_top=False`` leaves the classifier out.
    With a ``num_classes`` that is not the file's,
    or where the file has no classifier, the last layer is new, untrained: a UserWarning says so.
    Raises weight_port.WeightPortError for a file that is not exactly one of our networks.
    """
    recognised = weight_port.recognise(path, architecture=architecture, key=key, prefix=prefix)
    detection = recognised.detection
    if recognised.others:
        said = "; ".join(recognised.notes)
        warnings.warn(f"{path}: {said}", weight_port.PartWarning, stacklevel=2)
    if said := twins.warning(path, detection):
        warnings.warn(said, weight_port.TwinWarning, stacklevel=2)
    classes = detection.sizes["num_classes"] if num_classes is None else num_classes
    hidden = {"hidden": detection.hidden} if detection.hidden else {}
    model = MODELS[detection.architecture](classes, detection.in_channels, include_top, **hidden)
    same = num_classes is None or (detection.include_top and classes == detection.num_classes)
    if include_top and not same:
        had = f"one of {detection.num_classes} classes" if detection.include_top else "none"
        what = f"{path}: the model's classifier, of {classes} classes, is new (the file's: {had})"
        warnings.warn(f"{what}: train it", stacklevel=2)
    _put(model, recognised, include_top and not same)
    return model.eval()
