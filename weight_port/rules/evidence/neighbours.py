"""Units that stand beside one another: a norm and its convolution, each told by the other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from weight_port.rules.evidence.pairs import BESIDE, Matching
from weight_port.rules.evidence.units import Unit


def by_neighbours(matching: Matching) -> bool:
    """Pair norms whose convolutions are pairs, and the other way round."""
    near = [beside(side.units) for side in matching.sides]
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


def beside(units: Iterable[Unit]) -> dict[Unit, list[Unit]]:
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
