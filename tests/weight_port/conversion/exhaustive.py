"""Detection as it would be with time to spare: every network in whole, for the tests' comparison.

It knows nothing of the counts, the first layers and the order that ``candidates`` goes by.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from weight_port import arch
from weight_port.dialects import keys

Fit = tuple[float, int, str, str, int, int, int, bool, int, int]


@cache
def top_layers(name: str) -> frozenset[str]:
    """By building the network with and without its classifier."""
    rest = {layer.name for layer in arch.layers(name, include_top=False)}
    return frozenset(layer.name for layer in arch.layers(name)) - rest


@cache
def class_layers(name: str) -> frozenset[str]:
    """By building the network with one class more."""
    both = zip(
        arch.layers(name), arch.layers(name, arch.architecture(name).classes + 1), strict=True
    )
    return frozenset(one.name for one, other in both if one.parameters != other.parameters)


def _stem(dialect: str, row: arch.Architecture) -> tuple[bool, bool]:
    return bool(row.deep), row.groups > 1 and bool(keys.DIALECTS[dialect].grouped_stem)


@cache
def _marks(dialect: str) -> frozenset[str]:
    found: set[str] = set()
    forms = {
        name if name in arch.CLASSICS else _stem(dialect, arch.architecture(name)): name
        for name in reversed(keys.DIALECTS[dialect].holds)
    }
    for name in forms.values():
        layers = arch.layers(name, include_top=False)
        heads = [layer for layer in layers if layer.block is None or layer.block.position == 0]
        heads = heads[:1] if name in arch.CLASSICS else heads
        wanted = {layer.name for layer in heads}
        entries = keys.keys(dialect, name).items()
        found.update(key for key, entry in entries if entry.layer in wanted)
    return frozenset(found)


def _length(tensors, key: str, entry: keys.Key, axis: int, usual: int) -> int:
    shape = tensors[key].shape if key in tensors else ()
    place = entry.order.index(axis) if entry.order else axis
    return int(shape[place]) if len(shape) > place and shape[place] else usual


def _outputs(tensors, entries: Mapping[str, keys.Key], usual: int) -> int:
    for role, axis in {"linear_bias": 0, "bias": 0, "linear_weight": 1, "weight": 0}.items():
        for key, entry in reversed(list(entries.items())):
            if entry.role == role and key in tensors:
                return _length(tensors, key, entry, axis, usual)
    return usual


def _sizes(tensors, name: str, expected: Mapping[str, keys.Key]) -> tuple[int, int, int]:
    row = arch.architecture(name)
    stem = next(iter(expected))
    last = {key: entry for key, entry in expected.items() if entry.layer in class_layers(name)}
    linear = {k: e for k, e in expected.items() if k not in last and "linear" in e.role}
    return (
        _outputs(tensors, last, row.classes),
        _length(tensors, stem, expected[stem], 1, row.in_channels),
        _outputs(tensors, linear, row.hidden) if row.hidden else row.hidden,
    )


@cache
def _whole(dialect: str, name: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """The names but for counters, those of the classifier, and the counters."""
    expected = keys.keys(dialect, name)
    counters = frozenset(key for key, entry in expected.items() if entry.role == "counter")
    top = frozenset(k for k, entry in expected.items() if entry.layer in top_layers(name))
    return frozenset(expected) - counters, top, counters


def _share(tensors, dialect: str, name: str) -> tuple[float, bool, frozenset[str], int]:
    names, top_names, counters = _whole(dialect, name)
    top = any(key in tensors and tensors[key].size for key in top_names)
    needed = names if top else names - top_names
    here = frozenset(tensors) - counters
    return len(needed & here) / max(1, len(needed | here)), top, needed & here, len(here)


def fits(
    tensors: Mapping[str, np.ndarray], dialect: str | None = None, architecture: str | None = None
) -> list[Fit]:
    """The best fits, in the table's order: share, mis-shaped (negative), and what they say."""
    shares = {}
    for row in keys.DIALECTS.values():
        if dialect not in (row.name, None) or not (dialect or _marks(row.name) & tensors.keys()):
            continue
        forms: dict[object, str] = {}
        for name in row.holds:
            forms.setdefault(row.form(arch.ARCHITECTURES[name]), name)
        names = list(forms.values())
        if architecture:  # by its name one may be meant that the library itself doesn't build
            is_like_one = row.common and row.form(arch.ARCHITECTURES[architecture]) in forms
            names = [architecture] if architecture in row.holds or is_like_one else []
        for name in names:
            shares[row.name, name] = _share(tensors, row.name, name)
    most = max((share[0] for share in shares.values()), default=0.0)
    found: list[Fit] = []
    for (library, name), (share, top, hits, count) in shares.items():
        if share == most > 0:
            sizes = _sizes(tensors, name, keys.keys(library, name))
            expected = keys.keys(library, name, sizes[0], sizes[1], True, sizes[2])
            wrong = sum(tensors[key].shape != expected[key].shape for key in hits)
            found.append((share, -wrong, library, name, *sizes, top, len(hits), count))
    least = max((fit[:2] for fit in found), default=(0.0, 0))
    return [fit for fit in found if fit[:2] == least]
