"""Nests of tensors: tuples, lists, mappings and dataclasses, flat by the path of each leaf."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Leaf = Callable[[Any], bool]


def leaves(nest: Any, is_leaf: Leaf, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, leaf) of all in a nest that ``is_leaf``, in order; the path of a bare one is "".

    What is neither a leaf nor a container, such as None or a number, is passed over.
    """
    if is_leaf(nest):
        yield path, nest
        return
    for name, inner in _items(nest):
        yield from leaves(inner, is_leaf, f"{path}.{name}" if path else str(name))


def _items(nest: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(nest, Mapping):  # a transformers ModelOutput as well, which is a dataclass too
        yield from nest.items()
    elif isinstance(nest, (tuple, list)):
        yield from enumerate(nest)
    elif dataclasses.is_dataclass(nest) and not isinstance(nest, type):
        for field in dataclasses.fields(nest):
            yield field.name, getattr(nest, field.name)


def replace(nest: Any, is_leaf: Leaf, change: Callable[[Any], Any]) -> Any:
    """The nest with every leaf put through ``change``, in the order of ``leaves``."""
    if is_leaf(nest):
        return change(nest)
    if isinstance(nest, Mapping):
        kind: Any = type(nest)
        return kind({name: replace(x, is_leaf, change) for name, x in nest.items()})
    if isinstance(nest, tuple) and hasattr(nest, "_fields"):
        return type(nest)(*(replace(x, is_leaf, change) for x in nest))
    if isinstance(nest, (tuple, list)):
        return type(nest)(replace(x, is_leaf, change) for x in nest)
    if dataclasses.is_dataclass(nest) and not isinstance(nest, type):
        changed = {name: replace(x, is_leaf, change) for name, x in _items(nest)}
        return dataclasses.replace(nest, **changed)
    return nest


def grown(flat: Mapping[str, Any]) -> list[Any]:
    """The positional arguments of flat ``name: leaf``, in order.

    A dotted name is a part of a nest: ``state.h`` and ``state.c`` are one argument, a dict, and
    ``states.0`` and ``states.1`` one tuple.
    """
    tree: dict[str, Any] = {}
    for name, leaf in flat.items():
        *way, last = name.split(".")
        branch = tree
        for part in way:
            branch = branch.setdefault(part, {})
        branch[last] = leaf
    return [_shaped(branch) for branch in tree.values()]


def _shaped(branch: Any) -> Any:
    """A dict whose keys are 0, 1, … as a tuple."""
    if not isinstance(branch, dict):
        return branch
    inner = {name: _shaped(value) for name, value in branch.items()}
    return tuple(inner.values()) if list(inner) == [str(n) for n in range(len(inner))] else inner
