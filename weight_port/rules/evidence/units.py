"""A checkpoint as layers: which tensors belong together, of what kind and shape they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from weight_port.rules.evidence import names
from weight_port.rules.evidence.names import Path

Shape = tuple[int, ...]
Class = tuple[str, Shape]
# How the frameworks lay out a linear layer's weight, and Keras a convolution's.
LINEAR = {"torch": "out_in", "caffe": "out_in", "paddle": "in_out", "keras": "in_out"}
_HWIO = (3, 2, 0, 1)  # of Keras's axes in the usual order [out, in, kh, kw]


@dataclass(eq=False)
class Unit:
    """Tensors of one layer that go together: a convolution's, a norm's statistics."""

    kind: str  # conv, matrix, affine, stats or other
    path: Path
    shape: Shape  # of the main tensor, as PyTorch lays it out; of a matrix, sorted
    tensors: dict[str, str] = field(default_factory=dict)  # role -> name

    @property
    def group(self) -> Class:
        """Units of other kinds or shapes are no counterparts."""
        return self.kind, self.shape

    @property
    def family(self) -> tuple[str, tuple[str, ...]]:
        """Units that differ by numbers alone."""
        return self.kind, self.path.words

    @property
    def main(self) -> str:
        """The name of the tensor that stands for the unit."""
        return next(iter(self.tensors.values()))


@dataclass(frozen=True)
class Side:
    """A checkpoint: its tensors, the framework that it is of, its units."""

    tensors: Mapping[str, np.ndarray]
    framework: str  # torch, paddle, keras, caffe or ""
    units: tuple[Unit, ...]


def side(tensors: Mapping[str, np.ndarray], framework: str = "") -> Side:
    """The checkpoint as units; ``framework`` where the file's format says it."""
    framework = framework_of(tensors) or framework
    lettered = any("branch2a" in name or "branch2b" in name for name in tensors)
    modules: dict[str, dict[str, str]] = {}
    for name in tensors:
        module, leaf, role = names.split(name)
        if not role and framework == "caffe" and leaf.isdigit():
            role = leaf
        if role and role not in modules.get(module, {}):
            modules.setdefault(module, {})[role] = name
        else:
            modules.setdefault(name, {})[""] = name
    units: list[Unit] = []
    for module, roles in modules.items():
        if framework == "caffe":
            roles = _numbered(roles)
        path = names.path(module, lettered)
        units += _units(path, roles, tensors, framework)
    return Side(tensors, framework, tuple(units))


def usual(side: Side, unit: Unit) -> np.ndarray:
    """The unit's main tensor, a convolution's as PyTorch lays it out."""
    array = side.tensors[unit.main]
    return array.transpose(_HWIO) if unit.kind == "conv" and array.shape != unit.shape else array


def framework_of(tensors: Mapping[str, np.ndarray]) -> str:
    """The framework whose modules call their tensors so, "" where none is certain."""
    leaves = {name[max(name.rfind("."), name.rfind("/")) + 1 :] for name in tensors}
    if leaves & {"running_mean", "running_var", "num_batches_tracked"}:
        return "torch"
    if leaves & {"_mean", "_variance", "w_0"} or any(n.endswith("_weights") for n in leaves):
        return "paddle"
    if leaves & {"kernel", "gamma", "moving_mean"}:
        return "keras"
    return "caffe" if leaves and leaves <= {"0", "1", "2"} else ""


def _numbered(roles: dict[str, str]) -> dict[str, str]:
    """Caffe's blobs by role: a batch norm has three, whatever else two."""
    order = ("mean", "variance", "factor") if "2" in roles else ("weight", "bias")
    return {order[int(place)]: name for place, name in roles.items() if int(place) < len(order)}


def _units(
    path: Path, roles: dict[str, str], tensors: Mapping[str, np.ndarray], framework: str
) -> list[Unit]:
    units = []
    if "weight" in roles:
        own = _taken(roles, "weight", "bias")
        shape = tensors[roles["weight"]].shape
        units.append(Unit(*_kind(shape, path, framework), own))
    elif "bias" in roles:
        units.append(Unit("other", path, tensors[roles["bias"]].shape, {"": roles["bias"]}))
    statistics = _taken(roles, "mean", "variance", "counter", "factor")
    if "mean" in statistics:
        units.append(Unit("stats", path, tensors[statistics["mean"]].shape, statistics))
    else:
        units += [Unit("other", path, tensors[n].shape, {"": n}) for n in statistics.values()]
    if "" in roles:
        units.append(Unit("other", path, tensors[roles[""]].shape, {"": roles[""]}))
    return units


def _taken(roles: Mapping[str, str], *wanted: str) -> dict[str, str]:
    return {role: roles[role] for role in wanted if role in roles}


def _kind(shape: Shape, path: Path, framework: str) -> tuple[str, Path, Shape]:
    if len(shape) >= 3:
        keras = framework == "keras" and len(shape) == 4
        return "conv", path, tuple(shape[axis] for axis in _HWIO) if keras else shape
    if len(shape) == 2:
        return "matrix", path, tuple(sorted(shape))
    return "affine", path, shape
