"""Units of two checkpoints that hold the same numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from weight_port.rules.evidence.units import Side, Unit, usual

_SAMPLES = 24  # elements that are looked at before all are
_ALIKE = 64  # pairs with the same samples


def same_values(source: Side, target: Side) -> list[tuple[Unit, Unit]]:
    """The pairs whose main tensors are equal, a matrix also transposed, and equal no others.

    Tensors of one value alone, as initialisers make them, say nothing.
    """
    shared = {unit.group for unit in source.units} & {unit.group for unit in target.units}
    prints: dict[object, tuple[list[Unit], list[Unit]]] = defaultdict(lambda: ([], []))
    for place, side in enumerate((source, target)):
        for unit in side.units:
            if unit.group in shared:
                for key in _prints(unit, usual(side, unit), turned=bool(place)):
                    prints[key][place].append(unit)
    fits: dict[Unit, set[Unit]] = defaultdict(set)
    back: dict[Unit, set[Unit]] = defaultdict(set)
    for lefts, rights in prints.values():
        if len(lefts) * len(rights) > _ALIKE:
            continue  # of so many none is told apart
        for left in lefts:
            for right in rights:
                if is_same(usual(source, left), usual(target, right)):
                    fits[left].add(right)
                    back[right].add(left)
    return [
        (left, right)
        for left, (right, *more) in ((unit, list(others)) for unit, others in fits.items())
        if not more and len(back[right]) == 1
    ]


def _prints(unit: Unit, array: np.ndarray, turned: bool) -> Iterator[object]:
    """Some elements, of the transposed matrix too; none where they are all the same."""
    forms = (array, array.T) if turned and unit.kind == "matrix" else (array,)
    for form in forms:
        places = np.linspace(0, form.size - 1, min(_SAMPLES, form.size)).astype(np.int64)
        sample = form[np.unravel_index(places, form.shape)].astype(np.float64)
        if form.size > 1 and np.unique(sample).size > 1:
            yield unit.group, form.shape, sample.tobytes()


def is_same(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether two arrays are equal, a matrix also transposed."""
    return np.array_equal(left, right) or (left.ndim == 2 and np.array_equal(left, right.T))
