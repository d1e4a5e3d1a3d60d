"""Every key of an architecture in a dialect: the rows of ``rows`` applied to ``arch``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from weight_port import arch
from weight_port.dialects.rows import COUNTER, DIALECTS, PADDLE, PADDLE1, TORCH, Dialect, Module

__all__ = ["COUNTER", "DIALECTS", "PADDLE", "PADDLE1", "TORCH", "Dialect", "Key", "keys", "marks"]

# Roles that the scheme has no name for.
_EXTRAS = {"counter": "batch counter", "bias": "bias", "factor": "scale factor"}

# A module's name with its separator, less the numbers of a Sequential and the tensor's own name.
_MODULE = re.compile(r"((?:[^./]*[./])*?)(?:\d+[./])*[^./]+")


class Key(NamedTuple):
    """What a key of a file stands for: a parameter of the scheme, or one that it has not."""

    layer: str
    role: str  # the parameter's; or counter (int64 scalar), bias (of a convolution), factor (Caffe)
    parameter: arch.Parameter | None
    sizes: tuple[int, ...]  # in the scheme's layout
    order: tuple[int, ...] = ()  # of the scheme's axes in the file, where it is another

    @property
    def name(self) -> str:
        """The scheme's name, or the layer's with what it is: "bn_conv1 (batch counter)"."""
        return self.parameter.name if self.parameter else extra_name(self.layer, self.role)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in the file."""
        return tuple(self.sizes[axis] for axis in self.order) if self.order else self.sizes

    @property
    def transposed(self) -> bool:
        """Whether the file's axes stand in another order than the scheme's."""
        return bool(self.order)


def extra_name(layer: str, role: str) -> str:
    """The name in ``Key.name`` of a tensor that the scheme has not."""
    return f"{layer} ({_EXTRAS[role]})"


def _position(dialect: Dialect, row: arch.Row, layer: arch.Layer) -> dict[str, object]:
    """What the templates are filled with."""
    block = layer.block
    assert block is not None
    number0 = "abc".find(layer.branch[-1])  # -1 in branch1
    numbered = bool(row.numbered_stages) and block.stage in dialect.numbered
    return {
        "unit": f"{block.stage}{arch.block_letter(block.index, numbered)}",
        "stage": block.stage,
        "group": block.stage - 1,
        "group0": block.stage - 2,
        "child": block.stage + 2,
        "index": block.index,
        "index1": block.index + 1,
        "position": block.position,
        "kind": "Bottleneck" if row.bottleneck else "",
        "branch": layer.branch,
        "number": number0 + 1,
        "number0": number0,
    }


def _stem(dialect: Dialect, row: arch.Row, layer: arch.Layer) -> Module:
    if row.deep and dialect.deep:
        return dialect.deep.stem[int(layer.path.partition(".")[0][-1]) - 1]
    return dialect.grouped_stem if _has_grouped_stem(dialect, row) else dialect.stem


def _has_grouped_stem(dialect: Dialect, row: arch.Row) -> bool:
    return bool(dialect.grouped_stem) and isinstance(row, arch.Architecture) and row.groups > 1


def _templates(dialect: Dialect, row: arch.Row, layer: arch.Layer) -> Module:
    """What a layer of a block is called, before its position is filled in."""
    assert layer.block is not None
    if layer.kind == "linear":
        return (dialect.gate[layer.branch != "squeeze"],)
    if layer.branch != "branch1":
        return dialect.branch2
    if row.pooled and dialect.deep:
        return dialect.deep.pooled if layer.block.pooled else dialect.deep.first
    return dialect.branch1


def _modules(dialect: Dialect, row: arch.Row, layer: arch.Layer) -> Module:
    """The dialect's names of the modules that hold a layer's convolution and batch norm."""
    if isinstance(row, arch.Classic):
        return 2 * (dialect.classic(row, layer),)  # each layer's own
    if layer.block is None:
        linear = layer.kind == "linear"
        return (dialect.linear or "",) if linear else _stem(dialect, row, layer)
    position = _position(dialect, row, layer)
    return tuple(template.format(**position) for template in _templates(dialect, row, layer))


def _extras(
    dialect: Dialect, name: str, layer: arch.Layer
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(role, shape) of the tensors that the dialect has in a layer and the scheme has not."""
    glob = dialect.biased
    if glob and layer.kind == "conv" and fnmatchcase(f"{name}/{layer.name}", glob):
        yield "bias", (layer.out_channels,)
    if layer.kind == "batch_norm":
        for role, shape in (("factor", (1,)), ("counter", ())):
            if role in dialect.keys:
                yield role, shape


def _keys(dialect: str, name: str, layers: Iterable[arch.Layer]) -> Iterator[tuple[str, Key]]:
    library, row = DIALECTS[dialect], arch.architecture(name)
    orders = library.orders or {}
    for layer in layers:
        if not layer.parameters or (layer.name in row.class_layers and library.linear is None):
            continue
        modules = _modules(library, row, layer)
        norm = modules[1] if layer.kind == "batch_norm" else modules[0]
        for parameter in layer.parameters:
            role = parameter.role
            module = modules[-1] if role in ("scale", "offset") else norm
            key = Key(layer.name, role, parameter, parameter.shape, orders.get(role, ()))
            own = library.keys is PADDLE1  # the scheme itself
            yield parameter.name if own else library.keys[role].format(module), key
        for role, shape in _extras(library, name, layer):
            yield library.keys[role].format(norm), Key(layer.name, role, None, shape)


def keys(
    dialect: str,
    name: str,
    num_classes: int | None = None,
    in_channels: int | None = None,
    include_top: bool = True,
    hidden: int | None = None,
) -> Mapping[str, Key]:
    """Every key of an architecture in a dialect, in the order of ``arch.layers``."""
    sizes = arch.sizes_of(name, num_classes, in_channels, hidden)
    return _all_keys(dialect, name, include_top, *sizes.values())


# Behind ``keys``, since to a cache a default that is given and one that is not are two.
@lru_cache(maxsize=256)
def _all_keys(
    dialect: str, name: str, include_top: bool, num_classes: int, in_channels: int, hidden: int
) -> Mapping[str, Key]:
    layers = arch.layers(name, num_classes, in_channels, include_top, hidden)
    return MappingProxyType(dict(_keys(dialect, name, layers)))  # shared by all who ask


@lru_cache(maxsize=1024)
def first_keys(dialect: str, name: str, in_channels: int | None = None) -> Mapping[str, Key]:
    """The keys of ``arch.first_layers``, for which no other layer is made."""
    return MappingProxyType(dict(_keys(dialect, name, arch.first_layers(name, in_channels))))


def open_keys(dialect: str, name: str) -> Mapping[str, Key]:
    """The keys of ``arch.open_layers``, with the row's sizes."""
    return dict(_keys(dialect, name, arch.open_layers(name)))


def _stem_form(dialect: str, name: str) -> tuple[bool, bool]:
    row = arch.architecture(name)
    return bool(row.deep), _has_grouped_stem(DIALECTS[dialect], row)


@lru_cache
def head_modules(dialect: str, name: str) -> tuple[str, ...]:
    """The modules that hold the classifier, each with its separator; numbers at the end are gone.

    What stands in one of them, in whatever form, is the classifier's: ``fc.`` may be a Sequential
    of ``fc.0`` and ``fc.3``.
    """
    head = arch.top_layers(name)
    own = [key for key, entry in keys(dialect, name).items() if entry.layer in head]
    matches = (_MODULE.fullmatch(key) for key in own)
    return tuple(dict.fromkeys(match[1] for match in matches if match and match[1]))


@lru_cache
def marks(dialect: str) -> frozenset[str]:
    """The keys of the stem and of the first block: one of them is in any file of the dialect.

    Of a classic network they are those of its first layer.
    """
    # Of the ResNets the forms of stem; every classic network has its own.
    forms = {
        name if name in arch.CLASSICS else _stem_form(dialect, name): name
        for name in reversed(DIALECTS[dialect].holds)
    }
    return frozenset(
        key
        for name in forms.values()
        for key, entry in first_keys(dialect, name).items()
        if name in arch.RESNETS or entry.layer == arch.first_layers(name)[0].name
    )
