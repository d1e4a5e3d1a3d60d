"""Families: units whose names differ by numbers alone, paired by shapes, order and words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

from weight_port.rules.evidence.names import Index, is_number
from weight_port.rules.evidence.pairs import ALONE, NAMES, STRUCTURE, Matching
from weight_port.rules.evidence.units import Unit

Family = list[Unit]
Item = TypeVar("Item")


def families_of(units: Iterable[Unit], kinds: set[str]) -> list[Family]:
    families = grouped((unit for unit in units if unit.kind in kinds), lambda unit: unit.family)
    return [sorted(family, key=lambda unit: unit.path.numbers) for family in families.values()]


def shapes_of(family: Family) -> Hashable:
    return frozenset(Counter(unit.group for unit in family).items())


def grouped(items: Iterable[Item], key: Callable[[Item], Hashable]) -> dict[Hashable, list[Item]]:
    groups: dict[Hashable, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def pair_alike(matching: Matching, left: Sequence[Family], right: Sequence[Family]) -> bool:
    profiles = [grouped(families, shapes_of) for families in (left, right)]
    some = False
    for profile, mine in profiles[0].items():
        others = profiles[1].get(profile, [])
        if len(mine) == len(others) == 1:
            fit = may_be_left(matching, mine[0], others[0])
            fit = fit and _goes_on(matching, mine[0], others[0])
            pairs, evidence = [(mine[0], others[0])] if fit else [], STRUCTURE
        else:
            pairs, evidence = _by_words(mine, others), NAMES
        for family, other in pairs:
            how = ALONE if _is_alone(matching, family, other) else evidence
            some |= matching.add(in_order(family, other), how)
    return some


def _is_alone(matching: Matching, family: Family, other: Family) -> bool:
    return len(family) == 1 and all(sizes[family[0].group] == 1 for sizes in matching.sizes)


def in_order(family: Family, other: Family) -> list[tuple[Unit, Unit]]:
    """The units of two families by their numbers, shape by shape, where that is certain."""
    named_alike = _plain(family) == _plain(other)
    broken = not named_alike and (_is_broken(family) or _is_broken(other))
    pairs: list[tuple[Unit, Unit]] = []
    left, right = (grouped(side, lambda unit: unit.group) for side in (family, other))
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
        rows = grouped(family, lambda unit, p=place: unit.path.numbers[:p])  # type: ignore[misc]
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
    varying = [varying_places(units) for units in (mine, others)]
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


def varying_places(units: Sequence[Unit]) -> list[int]:
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


# -- whether what remains may be paired


def _goes_on(matching: Matching, family: Family, other: Family) -> bool:
    """Whether what is decided of the two families already is of the one and the other.

    Of what is left of families, few are alike by more than chance.
    """
    if _is_alone(matching, family, other):
        return True
    name, goal = family[0].family, other[0].family
    return matching.images[name] <= {goal} and matching.origins[goal] <= {name}


def may_be_left(matching: Matching, left: Family, right: Family) -> bool:
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
