"""Which unit of the source is which of the target: what the evidence decides, and what it leaves.

A pair is decided where every other unit of the same kind and shape is contradicted: by equal
values, by the structure (families of names that differ by numbers alone, with the same shapes on
both sides), by words, by the layer beside it. What is not, stays open.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

from weight_port.rules.evidence.names import Index, is_number
from weight_port.rules.evidence.units import Class, Side, Unit

Family = list[Unit]
Item = TypeVar("Item")
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


def match(source: Side, target: Side, same_values: Iterable[tuple[Unit, Unit]] = ()) -> Matching:
    """All that the evidence decides. The pairs of ``same_values`` are taken as they are."""
    matching = Matching(source, target)
    matching.add(same_values, VALUES)
    kinds = ({"conv"}, {"matrix"}, {"conv", "matrix", "affine", "stats", "other"})
    while any(_by_families(matching, kind) for kind in kinds) or any(
        step(matching) for step in (_by_neighbours, _by_split_families, _by_groups)
    ):
        pass
    for unit in {*_out_of_place(matching), *_parted(matching)}:
        matching.reopen(unit)
    return matching


# -- the trees


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
    near = [_beside(side.units) for side in matching.sides]
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


# -- families


def _by_families(matching: Matching, kinds: set[str]) -> bool:
    """Pair families of units with the same shapes, where one on each side has them."""
    if len(kinds) > 1 and _by_neighbours(matching):
        return True
    left, right = (_families(matching.open(place), kinds) for place in (0, 1))
    return _pair_alike(matching, left, right)


def _pair_alike(matching: Matching, left: Sequence[Family], right: Sequence[Family]) -> bool:
    profiles = [_by(families, _profile) for families in (left, right)]
    some = False
    for profile, mine in profiles[0].items():
        others = profiles[1].get(profile, [])
        if len(mine) == len(others) == 1:
            fit = _may_be_left(matching, mine[0], others[0])
            fit = fit and _goes_on(matching, mine[0], others[0])
            pairs, evidence = [(mine[0], others[0])] if fit else [], STRUCTURE
        else:
            pairs, evidence = _by_words(mine, others), NAMES
        for family, other in pairs:
            how = ALONE if _is_alone(matching, family, other) else evidence
            some |= matching.add(_in_order(family, other), how)
    return some


def _is_alone(matching: Matching, family: Family, other: Family) -> bool:
    return len(family) == 1 and all(sizes[family[0].group] == 1 for sizes in matching.sizes)


def _families(units: Iterable[Unit], kinds: set[str]) -> list[Family]:
    families = _by((unit for unit in units if unit.kind in kinds), lambda unit: unit.family)
    return [sorted(family, key=lambda unit: unit.path.numbers) for family in families.values()]


def _profile(family: Family) -> Hashable:
    return frozenset(Counter(unit.group for unit in family).items())


def _by(items: Iterable[Item], key: Callable[[Item], Hashable]) -> dict[Hashable, list[Item]]:
    groups: dict[Hashable, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def _in_order(family: Family, other: Family) -> list[tuple[Unit, Unit]]:
    """The units of two families by their numbers, shape by shape, where that is certain."""
    named_alike = _plain(family) == _plain(other)
    broken = not named_alike and (_is_broken(family) or _is_broken(other))
    pairs: list[tuple[Unit, Unit]] = []
    left, right = (_by(side, lambda unit: unit.group) for side in (family, other))
    for group, mine in left.items():
        others = right[group]
        if len(mine) > 1:
            same = _numbers(mine) == _numbers(others) if named_alike else not broken
            if not same or not _same_grid(mine, others):
                continue
        pairs += zip(mine, others, strict=True)
    return pairs


def _plain(units: Sequence[Unit]) -> list[str]:
    """The name without its numbers."""
    return [token for token in units[0].path.raw if not is_number(token)]


def _numbers(units: Iterable[Unit]) -> set[tuple[Index, ...]]:
    return {unit.path.numbers for unit in units}


def _is_broken(family: Family) -> bool:
    """Whether a row of numbers has a gap where it hardly has any: then one may be missing."""
    for place in range(len(family[0].path.numbers)):
        rows = _by(family, lambda unit, p=place: unit.path.numbers[:p])  # type: ignore[misc]
        for row in rows.values():
            numbers = sorted({unit.path.numbers[place][0] for unit in row})
            gaps = numbers[-1] - numbers[0] + 1 - len(numbers)
            if 0 < gaps <= max(1, len(numbers) // 3) and len(numbers) > 2:
                return True
    return False


def _same_grid(mine: Sequence[Unit], others: Sequence[Unit]) -> bool:
    """Whether the order of the numbers means the same on both sides.

    ``convs1.0, convs1.1, convs2.0`` and ``0.conv1, 0.conv2, 1.conv1`` are in order each, by the
    layer and by the block.
    """
    varying = [_varying(units) for units in (mine, others)]
    if len(varying[0]) < 2 or len(varying[1]) < 2:
        return True
    labels = [
        [u[0].path.labels[p] for p in v] for u, v in zip((mine, others), varying, strict=True)
    ]
    lengths = [
        [len({unit.path.numbers[p] for unit in u}) for p in v]
        for u, v in zip((mine, others), varying, strict=True)
    ]
    if len(varying[0]) != len(varying[1]):
        return True
    for label in set(labels[0]) & set(labels[1]) - {""}:
        once = labels[0].count(label) == labels[1].count(label) == 1
        if once and labels[0].index(label) != labels[1].index(label):
            return False
    full = all(len(mine) == _product(each) for each in lengths)
    return not full or lengths[0] == lengths[1]


def _varying(units: Sequence[Unit]) -> list[int]:
    count = len(units[0].path.numbers)
    return [p for p in range(count) if len({unit.path.numbers[p] for unit in units}) > 1]


def _product(numbers: Sequence[int]) -> int:
    result = 1
    for number in numbers:
        result *= number
    return result


# -- words


def _by_words(mine: Sequence[Family], others: Sequence[Family]) -> list[tuple[Family, Family]]:
    """The families that share a word which no other has; all of their kind and shapes."""
    if len(mine) != len(others):
        return []
    words = [[_words(family) for family in side] for side in (mine, others)]
    telling = [_telling(side) for side in words]
    owners = [{word: n for n, own in enumerate(side) for word in own} for side in telling]
    pairs = []
    for place, own in enumerate(telling[0]):
        fits = {owners[1][word] for word in own if word in owners[1]}
        if len(fits) == 1:
            fit = fits.pop()
            if {owners[0][word] for word in telling[1][fit] if word in owners[0]} == {place}:
                pairs.append((mine[place], others[fit]))
    return pairs


def _words(family: Family) -> set[str]:
    """The words of a name, alone and with the one before: "self attention"."""
    plain = [word for word in family[0].path.words if word != "#"]
    return {*plain, *(" ".join(pair) for pair in pairwise(plain))}


def _telling(sides: Sequence[set[str]]) -> list[set[str]]:
    """Of each the words that one alone has; of words that several have, all together."""
    count = Counter(word for words in sides for word in words)
    return [{word for word in words if count[word] == 1} for words in sides]


# -- the layer beside it


def _by_neighbours(matching: Matching) -> bool:
    """Pair norms whose convolutions are pairs, and the other way round."""
    near = [_beside(side.units) for side in matching.sides]
    open_right = dict.fromkeys(matching.open(1))
    pairs: dict[Unit, Unit] = {}
    for unit in matching.open(0):
        fits = set()
        for neighbour in near[0].get(unit, ()):
            if neighbour in matching.pairs:
                image = matching.pairs[neighbour]
                fits |= {o for o in near[1].get(image, ()) if o.group == unit.group}
        if len(fits) == 1 and (fit := fits.pop()) in open_right:
            pairs[unit] = fit
    once = Counter(pairs.values())
    return matching.add([(a, b) for a, b in pairs.items() if once[b] == 1], BESIDE)


def _beside(units: Iterable[Unit]) -> dict[Unit, list[Unit]]:
    """The one unit of each other kind under the same name but for words of the kind."""
    modules: dict[object, list[Unit]] = defaultdict(list)
    parents: dict[object, list[Unit]] = defaultdict(list)
    for unit in units:
        modules[unit.path.words, unit.path.numbers].append(unit)
        if unit.path.words[-1:] == ("#",):  # 0 and 1 of a sequence
            parents[unit.path.words[:-1], unit.path.numbers[:-1]].append(unit)
    near: dict[Unit, list[Unit]] = defaultdict(list)
    for members in (*modules.values(), *parents.values()):
        kinds = Counter(unit.kind for unit in members)
        alone = [unit for unit in members if kinds[unit.kind] == 1]
        for unit in alone if len(members) <= 4 else ():
            near[unit] += [other for other in alone if other is not unit]
    return near


# -- what is left, shape by shape


def _by_groups(matching: Matching) -> bool:
    """Pair what is left of a kind and shape: one on each side, or one family on each side."""
    some = False
    for left, right in matching.open_groups().values():
        if not left or len(left) != len(right):
            continue
        kinds = {left[0].kind}
        mine, others = (_families(side, kinds) for side in (left, right))
        if len(mine) == len(others) == 1:
            if _may_be_left(matching, mine[0], others[0]):
                some |= matching.add(_in_order(mine[0], others[0]), _how(matching, left))
        else:
            some |= _pair_alike(matching, mine, others)
    return some


def _how(matching: Matching, left: Sequence[Unit]) -> str:
    return ALONE if matching.sizes[0][left[0].group] == 1 else STRUCTURE


def _goes_on(matching: Matching, family: Family, other: Family) -> bool:
    """Whether what is decided of the two families already is of the one and the other.

    Of what is left of families, few are alike by more than chance.
    """
    if _is_alone(matching, family, other):
        return True
    name, goal = family[0].family, other[0].family
    return matching.images[name] <= {goal} and matching.origins[goal] <= {name}


def _may_be_left(matching: Matching, left: Family, right: Family) -> bool:
    """Whether what remains may be paired because it remains.

    Not where words alone decided the others, and these have none in common but those of all: then
    one may be missing here and another there.
    """
    groups = {unit.group for unit in left}
    if not groups & matching.named:
        return True
    if left[0].path.words == right[0].path.words:
        return True
    own = []
    for side, family in zip(matching.sides, (left, right), strict=True):
        alike = [_words([unit]) for unit in side.units if unit.group in groups]
        own.append({w for w in _words(family) if not all(w in words for words in alike)})
    return bool(own[0] & own[1])


def _by_split_families(matching: Matching) -> bool:
    """Take units with one number at one place for a family of their own, if that alone fits.

    The shortcut is number 0 of a block's layers in Keras, and a word elsewhere.
    """
    for place in (0, 1):
        families = _families(matching.open(place), {"conv", "matrix", "affine", "stats", "other"})
        others = _families(matching.open(1 - place), {"conv", "matrix", "affine", "stats", "other"})
        wanted = Counter(_profile(family) for family in others)
        for family in families:
            fits = _splits(family, wanted)
            if len(fits) == 1:
                (one, rest) = fits[0]
                halves = [one, rest]
                mirror = [o for o in others if _profile(o) in {_profile(one), _profile(rest)}]
                sides = (halves, mirror) if place == 0 else (mirror, halves)
                if _pair_alike(matching, *sides):
                    return True
    return False


def _splits(family: Family, wanted: Mapping[Hashable, int]) -> list[tuple[Family, Family]]:
    fits = []
    for place in _varying(family):
        for number in {unit.path.numbers[place] for unit in family}:
            one = [unit for unit in family if unit.path.numbers[place] == number]
            rest = [unit for unit in family if unit.path.numbers[place] != number]
            if wanted.get(_profile(one)) == 1 and wanted.get(_profile(rest)) == 1:
                fits.append((one, rest))
    return fits
