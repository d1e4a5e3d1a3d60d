"""Under which prefixes of a file's names a network may stand, by one pass over the names.

A network shows itself by the names of its first block (a classic one by its first layer). What
precedes them is a prefix, and the first parts of its dialect's names say which of the tensors
behind that prefix are in the network's modules and which stand beside them.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from weight_port import arch
from weight_port.dialects.keys import DIALECTS, first_keys, keys

_SEPARATORS = re.compile(r"[./]")  # of torch's and Paddle's modules, and of the others'
_NUMBER = re.compile(r"\d+[a-z]?\d*(?![a-z])")  # of a layer, a stage, a block: 1, 2a, 4b22
_HIGHEST = "\U0010ffff"  # sorts after every name with the same beginning
_LEAST = 5  # names; LeNet-5 without its classifier has four of its ten
_MOST = 32  # prefixes that are looked under, those with the most names first


class Modules(NamedTuple):
    """Which names are in a network's modules: by their first parts, numbers left out."""

    firsts: frozenset[str]
    flat: bool  # its names have no parts, so that any name without one may be its own

    def hold(self, name: str) -> bool:
        """Whether a name, without its prefix, stands in one of them."""
        first = _SEPARATORS.split(name, maxsplit=1)[0]
        return (self.flat and first == name) or _masked(first) in self.firsts


class _Door(NamedTuple):
    """A way to know a dialect's ResNets, or one of its classic networks, by their first keys."""

    dialect: str
    name: str  # the classic network's; "" for the ResNets

    @property
    def networks(self) -> list[str]:
        """The network, or the smallest ResNet of every form whose names are its own."""
        if self.name:
            return [self.name]
        resnets = [name for name in DIALECTS[self.dialect].holds if name in arch.RESNETS]
        rows = sorted((arch.RESNETS[name] for name in resnets), key=lambda row: -sum(row.blocks))
        return list({_form(row): row.name for row in rows}.values())

    @property
    def keys(self) -> frozenset[str]:
        """The keys of a ResNet's first block, or of a classic network's first layer."""
        return frozenset(
            key
            for name in self.networks
            for key, entry in first_keys(self.dialect, name).items()
            if entry.role in ("weight", "bias")
            and (entry.layer == arch.first_layers(name)[0].name) == bool(self.name)
            and ("res" in entry.layer or self.name)
        )


def _form(row: arch.Architecture) -> tuple[bool, ...]:
    """What the names of a ResNet's modules depend on."""
    return bool(row.deep), row.pooled, row.biased, bool(row.squeeze)


def _masked(part: str) -> str:
    """A part of a name, its numbers left out; one that is a number stays."""
    return part if part.isdigit() else _NUMBER.sub("#", part)


@lru_cache(maxsize=1024)
def modules(dialect: str, name: str) -> Modules:
    """The modules of a network in a dialect."""
    own = keys(dialect, name)
    firsts = frozenset(_masked(_SEPARATORS.split(key, maxsplit=1)[0]) for key in own)
    return Modules(firsts, not any(_SEPARATORS.search(key) for key in first_keys(dialect, name)))


@lru_cache(maxsize=1)
def _doors() -> tuple[Mapping[str, tuple[_Door, ...]], Mapping[_Door, int]]:
    """(key -> the doors that it opens, door -> how many of its keys it takes)."""
    keyholes: dict[str, tuple[_Door, ...]] = {}
    needed: dict[_Door, int] = {}
    for dialect, row in DIALECTS.items():
        classics = [name for name in row.holds if name in arch.CLASSICS]
        resnets = [""] if len(classics) < len(row.holds) else []
        for door in (_Door(dialect, name) for name in (*resnets, *classics)):
            needed[door] = len(door.keys) if door.name else 1
            for key in door.keys:
                keyholes[key] = (*keyholes.get(key, ()), door)
    return keyholes, needed


def _starts(name: str, longest: int) -> Iterator[int]:
    """Where a name's last parts begin, of up to ``longest`` characters; 0 is the whole."""
    if len(name) <= longest:
        yield 0
    floor, end = max(0, len(name) - longest - 1), len(name)
    while (end := max(name.rfind(".", floor, end), name.rfind("/", floor, end))) >= 0:
        yield end + 1


class Place(NamedTuple):
    """A prefix under which a network may stand, with the modules that it would have."""

    prefix: str
    modules: Modules
    names: tuple[str, ...]  # every name that begins so


def places(names: Iterable[str]) -> list[Place]:
    """Every prefix under which the first names of a network stand; those of most names first."""
    ordered = sorted(names)
    found = []
    for prefix, doors in _prefixes(ordered).items():
        first, last = (bisect_left(ordered, prefix + end) for end in ("", _HIGHEST))
        if last - first >= _LEAST:
            found.append((first - last, prefix, doors, slice(first, last)))
    found.sort(key=lambda item: item[:2])
    return [
        Place(prefix, own, tuple(ordered[window]))
        for _, prefix, doors, window in found[:_MOST]
        for own in dict.fromkeys(
            modules(door.dialect, name) for door in doors for name in door.networks
        )
    ]


def _prefixes(names: Iterable[str]) -> dict[str, list[_Door]]:
    """From every prefix to the doors that open behind it."""
    keyholes, needed = _doors()
    longest = max(map(len, keyholes))
    opened: dict[str, Counter[_Door]] = {}
    for name in names:
        for start in _starts(name, longest):
            for door in keyholes.get(name[start:], ()):
                opened.setdefault(name[:start], Counter())[door] += 1
    doors = {
        prefix: [door for door, count in counts.items() if count >= needed[door]]
        for prefix, counts in opened.items()
    }
    return {prefix: open_ones for prefix, open_ones in doors.items() if open_ones}
