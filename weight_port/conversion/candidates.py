"""Which networks a set of tensors may be: all are bounded by counts, and few are built.

A best-first search. A network's score is bounded first by how many names it has and the file has,
which its row tells; then, if it could still be the best, by the names and shapes of its first
layers; only what is left then is built in whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from heapq import heapify, heappop, heappush
from typing import NamedTuple

import numpy as np

from weight_port.arch import ARCHITECTURES, Row, Sizes, class_layers, top_layers
from weight_port.dialects.keys import (
    COUNTER,
    DIALECTS,
    Dialect,
    Key,
    first_keys,
    keys,
    marks,
    open_keys,
)

Arrays = Mapping[str, np.ndarray]
# (share of the names that fit, how many of them are mis-shaped), both negative for the best first.
Rank = tuple[float, int]
NOTHING: Rank = (0.0, 0)


class Candidate(NamedTuple):
    """A network in a dialect, with the sizes that a set of tensors shows, and how they fit."""

    dialect: str
    architecture: str
    sizes: Sizes
    include_top: bool  # a tensor of the classifier is there, and not empty
    names: tuple[int, int]  # how many fit, and how many there are
    rank: Rank


def best(tensors: Arrays, dialect: str | None, architecture: str | None) -> list[Candidate]:
    """The networks that fit best, in the table's order; none where no name fits any."""
    pairs = list(_pairs(tensors, dialect, architecture))
    counts = _Counts.of(tensors)
    queue = [(counts.bound(*pair), place, False) for place, pair in enumerate(pairs)]
    heapify(queue)
    built: dict[int, Candidate] = {}
    limit = NOTHING
    while queue and queue[0][0] <= limit:
        _, place, refined = heappop(queue)
        library, name = pairs[place]
        if not refined:
            heappush(queue, (_bound_by_first_layers(tensors, counts, library, name), place, True))
            continue
        built[place] = candidate(tensors, library, name)
        limit = min(limit, built[place].rank)
    order = [place for place in sorted(built) if built[place].rank == limit < NOTHING]
    return [built[place] for place in order]


def bound(tensors: Arrays, dialect: str | None, architecture: str | None) -> float:
    """The share of names that fit a network at most, by counts alone: 0.0 where none can."""
    counts = _Counts.of(tensors)
    ranks = (counts.bound(*pair) for pair in _pairs(tensors, dialect, architecture))
    return max((-share for share, _ in ranks), default=0.0)


def _pairs(
    tensors: Arrays, dialect: str | None, architecture: str | None
) -> Iterator[tuple[str, str]]:
    """The networks of the dialects whose stem or first block is there; of equal ones the first."""
    for library in DIALECTS:
        if dialect not in (library, None) or not (dialect or _is_marked(library, tensors)):
            continue
        for name in (architecture,) if architecture else unlike(library):
            if name in alike(library, name):
                yield library, name


def _is_marked(dialect: str, tensors: Arrays) -> bool:
    return any(mark in tensors for mark in marks(dialect))


@lru_cache(maxsize=4096)
def alike(dialect: str, name: str) -> tuple[str, ...]:
    """The architectures that a dialect's names can be of, with the tensors of ``name``.

    Those that its library builds, and after them, where state dicts of that framework come from
    anywhere, those that it doesn't. Empty where the library has none.
    """
    library, form = DIALECTS[dialect], DIALECTS[dialect].form(ARCHITECTURES[name])
    same = [other for other in ARCHITECTURES if library.form(ARCHITECTURES[other]) == form]
    held = [other for other in library.holds if other in same]
    strangers = [other for other in same if other not in held] if library.common else []
    return (*held, *strangers) if held else ()


@lru_cache
def unlike(dialect: str) -> tuple[str, ...]:
    """The first of the dialect's architectures for every set of keys and shapes."""
    first: dict[object, str] = {}
    for name in DIALECTS[dialect].holds:
        first.setdefault(DIALECTS[dialect].form(ARCHITECTURES[name]), name)
    return tuple(first.values())


# -- bounds


class _Counts(NamedTuple):
    """How many names a file has, and how many of them are no batch counters'."""

    every: int
    plain: int

    @classmethod
    def of(cls, tensors: Arrays) -> _Counts:
        return cls(len(tensors), sum(not key.endswith(COUNTER) for key in tensors))

    def bound(self, dialect: str, name: str, missing: int = 0, misshaped: int = 0) -> Rank:
        """The rank of a network at best, where so many of its names and shapes don't fit."""
        library = DIALECTS[dialect]
        here = self.plain if library.torch else self.every  # in no other are counters expected
        share = 0.0
        for needed in names_needed(library, ARCHITECTURES[name]):
            hits = max(0, min(needed - missing, self.plain))
            share = max(share, hits / max(1, needed + here - hits))
        return -share, misshaped


def names_needed(library: Dialect, row: Row) -> set[int]:
    """How many names a network may have, but for counters: with and without its classifier."""
    biases = {"*": (1,), "": (0,)}.get(library.biased, (0, 1))
    norm = 4 + ("factor" in library.keys) if row.normed else 0
    whole, top = row.counts, row.top_counts
    headless = (whole[0] - top[0], whole[1] - top[1])
    forms = (headless,) if library.linear is None else (whole, headless)
    each = 1 + row.biased + norm
    return {
        convolutions * each + bias * (convolutions if library.biased == "*" else 1) + 2 * count
        for convolutions, count in forms
        for bias in biases
    }


def _bound_by_first_layers(tensors: Arrays, counts: _Counts, dialect: str, name: str) -> Rank:
    """As ``_Counts.bound``, once a network's first layers are made."""
    stem, entry = next(iter(first_keys(dialect, name).items()))
    usual = ARCHITECTURES[name].in_channels
    first = first_keys(dialect, name, _length(tensors, stem, entry, 1, usual))
    needed = [key for key, entry in first.items() if entry.role != "counter"]
    here = [key for key in needed if key in tensors]
    misshaped = sum(tensors[key].shape != first[key].shape for key in here)
    return counts.bound(dialect, name, len(needed) - len(here), misshaped)


# -- the whole


def candidate(tensors: Arrays, dialect: str, name: str) -> Candidate:
    """How a set of tensors fits a network, all of whose keys and shapes are compared."""
    sizes = _sizes(tensors, dialect, name)
    expected = keys(dialect, name, **sizes)
    head = top_layers(name)
    # PaddleClas's class_num=0 leaves one of no columns.
    top = any(
        key in tensors and tensors[key].size
        for key, entry in expected.items()
        if entry.layer in head
    )
    needed = {
        key
        for key, entry in expected.items()
        if entry.role != "counter" and (top or entry.layer not in head)
    }
    here = {key for key in tensors if key not in expected or expected[key].role != "counter"}
    hits = needed & here
    misshaped = sum(tensors[key].shape != expected[key].shape for key in hits)
    rank = (-len(hits) / max(1, len(needed | here)), misshaped)
    return Candidate(dialect, name, sizes, top, (len(hits), len(here)), rank)


def _sizes(tensors: Arrays, dialect: str, name: str) -> Sizes:
    """What the tensors show of the sizes that the row leaves open, and else what the row has."""
    row, entries = ARCHITECTURES[name], open_keys(dialect, name)
    stem, classes = next(iter(entries)), class_layers(name)
    last = {key: entry for key, entry in entries.items() if entry.layer in classes}
    linear = {k: e for k, e in entries.items() if k not in last and "linear" in e.role}
    return Sizes(
        num_classes=_outputs(tensors, last, row.classes),
        in_channels=_length(tensors, stem, entries[stem], 1, row.in_channels),
        hidden=_outputs(tensors, linear, row.hidden) if row.hidden else 0,
    )


# A parameter's role -> the axis of its layer's outputs; biases first, which no dialect transposes.
_OUTPUTS = {"linear_bias": 0, "bias": 0, "linear_weight": 1, "weight": 0}


def _outputs(tensors: Arrays, entries: Mapping[str, Key], usual: int) -> int:
    """How many outputs layers of equal width have, by the last of their tensors that is there."""
    for role, axis in _OUTPUTS.items():
        for key, entry in reversed(list(entries.items())):
            if entry.role == role and key in tensors:
                return _length(tensors, key, entry, axis, usual)
    return usual


def _length(tensors: Arrays, key: str, entry: Key, axis: int, usual: int) -> int:
    """Length of one axis of a tensor in the scheme's layout, ``usual`` where it is not there."""
    shape = tensors[key].shape if key in tensors else ()
    place = entry.order.index(axis) if entry.order else axis
    return int(shape[place]) if len(shape) > place and shape[place] else usual
