"""Which unit of the source is which of the target: what the evidence decides, and what it leaves.

A pair is decided where every other unit of the same kind and shape is contradicted: by equal
values, by the structure (families of names that differ by numbers alone, with the same shapes on
both sides), by words, by the layer beside it. What is not, stays open.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence

from weight_port.rules.evidence.families import (
    Family,
    families_of,
    in_order,
    may_be_left,
    pair_alike,
    shapes_of,
    varying_places,
)
from weight_port.rules.evidence.names import is_number
from weight_port.rules.evidence.neighbours import beside, by_neighbours
from weight_port.rules.evidence.pairs import ALONE, STRUCTURE, VALUES, Matching
from weight_port.rules.evidence.units import Side, Unit


def match(source: Side, target: Side, same_values: Iterable[tuple[Unit, Unit]] = ()) -> Matching:
    """All that the evidence decides. The pairs of ``same_values`` are taken as they are."""
    matching = Matching(source, target)
    matching.add(same_values, VALUES)
    kinds = ({"conv"}, {"matrix"}, {"conv", "matrix", "affine", "stats", "other"})
    while any(_by_families(matching, kind) for kind in kinds) or any(
        step(matching) for step in (by_neighbours, _by_split_families, _by_groups)
    ):
        pass
    for unit in {*_out_of_place(matching), *_parted(matching)}:
        matching.reopen(unit)
    return matching


# -- decisions that are taken back


def _out_of_place(matching: Matching) -> list[Unit]:
    """Units whose siblings went into one block of the target, and they did not, or the reverse.

    One may be missing in the block, and another be too many elsewhere.
    """
    forward = {u: o for u, o in matching.pairs.items() if matching.evidence[u] != VALUES}
    back = {other: unit for unit, other in matching.pairs.items()}
    strays = {unit for unit in _strays(matching.pairs) if unit in forward}
    strays |= {back[other] for other in _strays(back) if back[other] in forward}
    return list(strays)


def _parted(matching: Matching) -> list[Unit]:
    """Units that stand beside one layer in the source and beside another's image in the target."""
    near = [beside(side.units) for side in matching.sides]
    back = {other: unit for unit, other in matching.pairs.items()}
    parted = []
    for unit, other in matching.pairs.items():
        if matching.evidence[unit] == VALUES:
            continue
        here = {u.kind: matching.pairs.get(u) for u in near[0].get(unit, ())}
        there = {o.kind: o for o in near[1].get(other, ()) if o in back}
        if any(here.get(kind, o) not in (o, None) for kind, o in there.items()):
            parted.append(unit)
    return parted


def _strays(pairs: Mapping[Unit, Unit]) -> list[Unit]:
    nodes: dict[Hashable, list[Unit]] = defaultdict(list)
    for unit in pairs:
        for depth in range(1, len(unit.path.bare)):
            nodes[unit.kind, unit.path.bare[:depth]].append(unit)
    strays = []
    for members in nodes.values():
        if len(members) < 3:
            continue
        for unit in members if len(members) < 12 else ():
            block = _block([pairs[other].path.bare for other in members if other is not unit])
            if block and pairs[unit].path.bare[: len(block)] != block:
                strays.append(unit)
    return strays


def _block(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The beginning that all have, up to its last number; nothing where there is none."""
    block = paths[0]
    for path in paths:
        while path[: len(block)] != block:
            block = block[:-1]
    while block and not is_number(block[-1]):
        block = block[:-1]
    return block


# -- steps, each of which decides some pairs or none


def _by_families(matching: Matching, kinds: set[str]) -> bool:
    """Pair families of units with the same shapes, where one on each side has them."""
    if len(kinds) > 1 and by_neighbours(matching):
        return True
    left, right = (families_of(matching.open(place), kinds) for place in (0, 1))
    return pair_alike(matching, left, right)


def _by_groups(matching: Matching) -> bool:
    """Pair what is left of a kind and shape: one on each side, or one family on each side."""
    some = False
    for left, right in matching.open_groups().values():
        if not left or len(left) != len(right):
            continue
        kinds = {left[0].kind}
        mine, others = (families_of(side, kinds) for side in (left, right))
        if len(mine) == len(others) == 1:
            if may_be_left(matching, mine[0], others[0]):
                some |= matching.add(in_order(mine[0], others[0]), _how(matching, left))
        else:
            some |= pair_alike(matching, mine, others)
    return some


def _how(matching: Matching, left: Sequence[Unit]) -> str:
    return ALONE if matching.sizes[0][left[0].group] == 1 else STRUCTURE


def _by_split_families(matching: Matching) -> bool:
    """Take units with one number at one place for a family of their own, if that alone fits.

    The shortcut is number 0 of a block's layers in Keras, and a word elsewhere.
    """
    for place in (0, 1):
        families = families_of(matching.open(place), {"conv", "matrix", "affine", "stats", "other"})
        others = families_of(
            matching.open(1 - place), {"conv", "matrix", "affine", "stats", "other"}
        )
        wanted = Counter(shapes_of(family) for family in others)
        for family in families:
            fits = _splits(family, wanted)
            if len(fits) == 1:
                (one, rest) = fits[0]
                halves = [one, rest]
                mirror = [o for o in others if shapes_of(o) in {shapes_of(one), shapes_of(rest)}]
                sides = (halves, mirror) if place == 0 else (mirror, halves)
                if pair_alike(matching, *sides):
                    return True
    return False


def _splits(family: Family, wanted: Mapping[Hashable, int]) -> list[tuple[Family, Family]]:
    fits = []
    for place in varying_places(family):
        for number in {unit.path.numbers[place] for unit in family}:
            one = [unit for unit in family if unit.path.numbers[place] == number]
            rest = [unit for unit in family if unit.path.numbers[place] != number]
            if wanted.get(shapes_of(one)) == 1 and wanted.get(shapes_of(rest)) == 1:
                fits.append((one, rest))
    return fits
