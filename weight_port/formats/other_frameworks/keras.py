"""``.h5``, ``.weights.h5`` and ``.keras``: what Keras 2 and 3 save, and Caffe's HDF5 snapshots.

Keras 2 (and Keras 3 to a plain ``.h5``) has a group for each layer, with its variables' names in it
(``keras/src/legacy/saving/legacy_h5_format.py``). Keras 3 numbers a layer's variables in
``layers/CLASS_N/vars`` and says the layer's name in an attribute, or, in a ``.keras`` archive, in
``config.json`` (``keras/src/saving/saving_lib.py``). Either way the tensors are called
``layer/variable`` here, as Keras 3 calls its variables' paths.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from weight_port.errors import DAMAGE, FormatError, shown
from weight_port.formats.contents import Contents, Tensors, check_count, check_total
from weight_port.formats.other_frameworks.hdf5 import Hdf5
from weight_port.formats.other_frameworks.hdf5_arrays import Arrays
from weight_port.storage import json_data, zips
from weight_port.storage.scratch import Scratch
from weight_port.storage.sources import File

Path = tuple[str, ...]
_WEIGHTS, _CONFIG = "model.weights.h5", "config.json"
_VARS = "vars"
_CAFFE = "data"  # the group of the blobs in its snapshots (Net::ToHDF5 in net.cpp)
_KERNEL = ("kernel", "bias")
# The variables of a layer in the order in which it makes them (keras/src/layers), by its class.
_VARIABLES: dict[str, tuple[str, ...]] = {
    "conv1d": _KERNEL,
    "conv2d": _KERNEL,
    "conv3d": _KERNEL,
    "conv2d_transpose": _KERNEL,
    "depthwise_conv2d": _KERNEL,
    "dense": _KERNEL,
    "separable_conv2d": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "layer_normalization": ("gamma", "beta"),
    "group_normalization": ("gamma", "beta"),
    "embedding": ("embeddings",),
}
_NUMBERED = re.compile(r"(.+?)_\d+")


def read(file: File) -> Contents:
    """Every array by its layer and variable. Raises FormatError."""
    data = file.load()
    try:
        if bytes(data[:2]) == b"PK":
            return _read_archive(file.where, data)
        return _read_hdf5(file.where, data, {})
    except DAMAGE as error:
        raise FormatError(f"{file.where}: damaged HDF5 file: {error!s:.200}") from None


def _read_archive(where: str, data: memoryview) -> Contents:
    """A ``.keras`` archive: the HDF5 file in it, a view where it is stored."""
    members = zips.members(data, where)
    if _WEIGHTS not in members:
        raise FormatError(f"{where}: a zip without {_WEIGHTS}: not a Keras model")
    zips.check_sizes(members, len(data), where)
    info = members[_WEIGHTS]
    weights = zips.inflated(data, info, where)
    if info.compress_type != zips.ZIP_STORED:
        with Scratch(len(weights)) as scratch:
            weights = scratch.put([weights])
    names = {}
    if _CONFIG in members:
        config = json_data.load(zips.inflated(data, members[_CONFIG], where), len(data))
        names = dict(_configured(config, (), 0))
    return _read_hdf5(where, weights, names)


def _read_hdf5(where: str, data: memoryview, configured: Mapping[Path, str]) -> Contents:
    file = Hdf5(data, where)
    arrays, found = Arrays(file), dict[Path, np.ndarray]()
    names: dict[Path, str] = {}  # of a layer whose variables have numbers, under its path
    layers: dict[Path, bool] = {}  # groups that have Keras 2's attribute
    others = 0
    for path, item in file.walk():
        if item.is_array:
            array = arrays.read(item)
            others += array is None
            if array is not None:
                found[path] = array
                check_count(len(found), len(data), where)
        elif path[-1:] == (_VARS,) and "name" in item.attributes:
            names[path[:-1]] = file.text(item.attributes["name"]) or ""
        layers[path] = any(name.startswith("layer_names") for name in item.attributes)
    chosen, notes = _chosen(found)
    tensors = _named(chosen, layers, {**configured, **{k: v for k, v in names.items() if v}})
    if not tensors:
        raise FormatError(f"{where}: an HDF5 file without arrays of numbers: it holds no weights")
    check_total(tensors, len(data), where)
    if others:
        notes.append(f"left out {others} arrays that are no numbers")
    if file.links:
        notes.append(f"left out {len(file.links)} links, which are not followed")
    return Contents(tensors, tuple(notes))


# -- which arrays, and what they are called


def _chosen(found: Mapping[Path, np.ndarray]) -> tuple[dict[Path, np.ndarray], list[str]]:
    """The weights among the arrays, and what is left beside them.

    A whole model stands beside its optimizer; Caffe's weights in ``data`` beside gradients.
    """
    tops = {path[0] for path in found if len(path) > 1}
    for top, beside in (("model_weights", "optimizer_weights"), (_CAFFE, "diff")):
        if top in tops and tops <= {top, beside}:
            return {path: a for path, a in found.items() if path[0] == top}, _left(found, {top})
    aside = {"optimizer", "_optimizer"} & tops
    return (
        {path: array for path, array in found.items() if path[0] not in aside},
        _left(found, tops - aside) if aside else [],
    )


def _left(found: Mapping[Path, np.ndarray], taken: set[str]) -> list[str]:
    counts = Counter(path[0] for path in found if len(path) > 1 and path[0] not in taken)
    return [
        f"left out beside the weights: {top} ({count} tensors)" for top, count in counts.items()
    ]


def _named(
    found: Mapping[Path, np.ndarray], layers: Mapping[Path, bool], names: Mapping[Path, str]
) -> Tensors:
    """The arrays under their names; raises ValueError where two have one."""
    parents: dict[Path, set[Path]] = {}  # of a Keras 2 layer's variables, by its group
    groups = {path: _group(path, layers) for path in found}
    for path, group in groups.items():
        parents.setdefault(group, set()).add(path[:-1])
    short = {
        path: _short(path, groups[path], len(parents[groups[path]]) == 1, names) for path in found
    }
    twice = Counter(short.values())
    tensors: Tensors = {}
    for path, array in found.items():
        name = short[path] if twice[short[path]] == 1 else _long(path, names)
        if name in tensors:
            raise ValueError(f"two arrays are called {shown(name)}")
        tensors[name] = array
    return tensors


def _group(path: Path, layers: Mapping[Path, bool]) -> Path:
    """The group of the layer of Keras 2 that a variable is in; () where it is in none."""
    for depth in range(len(path) - 2, -1, -1):
        if layers.get(path[:depth]):
            return path[: depth + 1]
    return ()


def _short(path: Path, group: Path, alone: bool, names: Mapping[Path, str]) -> str:
    """``layer/variable``, without the models around it.

    A layer that is ``alone`` in its group is called after that: within, its variables may have the
    name that it had when a model was first built. A model in a group keeps its layers' names.
    """
    if path[-2:-1] == (_VARS,):
        layer = path[:-2]
        return f"{names.get(layer) or '/'.join(layer[-1:])}/{_variable(path, layer)}"
    if group:
        layer_name = group[-1] if alone or len(path) - len(group) < 2 else path[-2]
        return f"{layer_name}/{_plain(path[-1])}"
    return "/".join(path[1:] if path[0] == _CAFFE else path)


def _long(path: Path, names: Mapping[Path, str]) -> str:
    """The same with all that it stands in, where that alone tells two arrays apart."""
    if path[-2:-1] != (_VARS,):
        return "/".join((*path[:-1], _plain(path[-1])))
    layer = path[:-2]
    steps = [names[layer[:n]] for n in range(1, len(layer) + 1) if layer[:n] in names]
    return "/".join((*(steps or layer), _variable(path, layer)))


def _plain(variable: str) -> str:
    """A variable's name without TensorFlow's output number."""
    return variable.removesuffix(":0")


def _variable(path: Path, layer: Path) -> str:
    """What stands under a number; the number where the class says nothing."""
    match = _NUMBERED.fullmatch(layer[-1]) if layer else None
    kinds = (layer[-1] if layer else "", match[1] if match else "")
    variables = next((_VARIABLES[kind] for kind in kinds if kind in _VARIABLES), ())
    number = int(path[-1]) if path[-1].isdigit() and len(path[-1]) < 4 else len(variables)
    return variables[number] if number < len(variables) else path[-1]


# -- config.json, of files whose layers don't say their names


def _configured(model: Any, path: Path, depth: int) -> Iterator[tuple[Path, str]]:
    """(path, name) of the layers of a model, as Keras 3 counts them by class."""
    if depth > 16:
        raise RecursionError("models nested too deep")
    counts: Counter[str] = Counter()
    config = model.get("config")
    layers = config.get("layers") if isinstance(config, dict) else None
    for layer in layers if isinstance(layers, list) else ():
        kind = _snake_case(layer["class_name"])
        number, counts[kind] = counts[kind], counts[kind] + 1
        below = (*path, "layers", f"{kind}_{number}" if number else kind)
        yield below, str(layer["config"]["name"])
        yield from _configured(layer, below, depth + 1)


def _snake_case(name: str) -> str:
    """As ``keras.src.utils.naming.to_snake_case`` has it: Conv2D is conv2d."""
    name = re.sub(r"\W+", "", name[:200])
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
