"""The pairs of units that are decided, each with the evidence that decided it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable

from weight_port.rules.evidence.units import Class, Side, Unit

VALUES, NAMES, STRUCTURE, BESIDE, ALONE = (
    "the same values",
    "words of the names",
    "order and structure",
    "the layer beside it",
    "the only one of its kind and shape",
)


class Matching:
    """The pairs so far, and what decided each."""

    def __init__(self, source: Side, target: Side) -> None:
        self.sides = (source, target)
        self.pairs: dict[Unit, Unit] = {}
        self.evidence: dict[Unit, str] = {}
        self._taken: set[Unit] = set()
        # What decided families went to and came from, and the groups of which words decided some.
        self.images: dict[Hashable, set[Hashable]] = defaultdict(set)
        self.origins: dict[Hashable, set[Hashable]] = defaultdict(set)
        self.named: set[Class] = set()
        self.sizes = tuple(Counter(unit.group for unit in side.units) for side in self.sides)

    def add(self, pairs: Iterable[tuple[Unit, Unit]], evidence: str) -> bool:
        """Decide pairs; returns whether there were any."""
        some = False
        for left, right in pairs:
            assert left not in self.pairs
            assert right not in self._taken
            self.pairs[left] = right
            self.evidence[left] = evidence
            self._taken.add(right)
            self.images[left.family].add(right.family)
            self.origins[right.family].add(left.family)
            if evidence == NAMES:
                self.named.add(left.group)
            some = True
        return some

    def reopen(self, unit: Unit) -> None:
        """Take a decision back."""
        self._taken.discard(self.pairs.pop(unit))
        del self.evidence[unit]

    def open(self, place: int) -> list[Unit]:
        """The units of a side that have no counterpart yet."""
        taken: Iterable[Unit] = self._taken if place else self.pairs
        return [unit for unit in self.sides[place].units if unit not in taken]

    def open_groups(self) -> dict[Class, tuple[list[Unit], list[Unit]]]:
        """The open units by kind and shape."""
        groups: dict[Class, tuple[list[Unit], list[Unit]]] = defaultdict(lambda: ([], []))
        for place in (0, 1):
            for unit in self.open(place):
                groups[unit.group][place].append(unit)
        return dict(groups)
