"""Names that known tools put before a network's, and tensors that they put among its own.

Any prefix is found by itself. Those of the table say which network is meant where a file has
several: the one that its library goes on with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, TypeVar

# What stands before every name of a network -> who writes it.
WRAPPERS = {
    "module.": "torch.nn.DataParallel, torch's AveragedModel",
    "_orig_mod.": "torch.compile",
    "_layers.": "paddle.DataParallel",
    "model.": "Lightning modules, training loops",
    "net.": "training loops",
    "network.": "training loops",
    "base_model.": "PaddleClas exports",
    "backbone.": "detectors, segmenters, recognisers, DINO",
    "body.": "torchvision's detectors",
    "encoder.": "segmenters, SimSiam",
    "resnet.": "classifiers around a ResNet",
    "encoder_q.": "MoCo v1 and v2; encoder_k is its moving average",
    "base_encoder.": "MoCo v3; momentum_encoder is its moving average",
    "online_encoder.": "BYOL; target_encoder is its moving average",
}

# A name, or the last part of one -> the tool that adds such tensors, and what they are.
ADDED = {
    "total_ops": "thop's counts of operations",
    "total_params": "thop's counts of parameters",
    "_extra_state": "torch's extra state of a module",
}

Item = TypeVar("Item")


def is_known(prefix: str) -> bool:
    """Whether a prefix is made of those of the table alone, as the empty one is."""
    while prefix:
        wrapper = next((known for known in WRAPPERS if prefix.startswith(known)), None)
        if wrapper is None:
            return False
        prefix = prefix[len(wrapper) :]
    return True


def without_added(tensors: Mapping[str, Item]) -> tuple[dict[str, Item], tuple[str, ...]]:
    """The tensors but for those that known tools have added; a note for each kind of these."""
    counts: dict[str, int] = {}
    kept: dict[str, Item] = {}
    for name, item in tensors.items():
        last = name[name.rfind(".") + 1 :]
        if last in ADDED:
            counts[last] = counts.get(last, 0) + 1
        else:
            kept[name] = item
    notes = tuple(f"left out {count} × {last}: {ADDED[last]}" for last, count in counts.items())
    return kept, notes


def dropped(names: Iterable[str], globs: Iterable[str]) -> dict[str, list[str]]:
    """The names that each glob matches."""
    every = list(names)
    return {glob: [name for name in every if fnmatchcase(name, glob)] for glob in globs}


def under(tensors: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The tensors whose names begin with a prefix, without it."""
    return {name[len(prefix) :]: item for name, item in tensors.items() if name.startswith(prefix)}
