"""Names with numbers made into patterns: as few rules as say the same of every tensor."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from weight_port.rules.model import Ranges
from weight_port.rules.patterns import Hole, Pattern

_NUMBER = re.compile(r"(?<![0-9])(0|[1-9][0-9]{0,5})(?![0-9])")
_HOLES = "ijklmnopqrstuvwxyz"


class General(NamedTuple):
    """Patterns in the place of names, and what the holes stand for."""

    names: tuple[Pattern, ...]
    ranges: Ranges
    what: Hashable


class _Row(NamedTuple):
    numbers: tuple[tuple[int, ...], ...]  # of each name

    @property
    def first(self) -> tuple[int, ...]:
        return self.numbers[0]


def generalise(entries: Iterable[tuple[tuple[str, ...], Hashable]]) -> list[General]:
    """Patterns for names that belong together, in the order of the entries.

    An entry is the names, and what is done with them: entries of which something else is said are
    not put together.
    """
    groups: dict[tuple[tuple[tuple[str, ...], ...], Hashable], list[_Row]] = defaultdict(list)
    for names, what in entries:
        parts = [_NUMBER.split(name) for name in names]
        words = tuple(tuple(part[::2]) for part in parts)
        groups[words, what].append(_Row(tuple(tuple(map(int, part[1::2])) for part in parts)))
    return [
        General(names, ranges, what)
        for (words, what), rows in groups.items()
        for names, ranges in _cover(words, rows)
    ]


def _cover(
    words: Sequence[Sequence[str]], rows: list[_Row]
) -> Iterator[tuple[tuple[Pattern, ...], Ranges]]:
    """Patterns that fit the rows and no others: one, or more where one number is taken apart."""
    varying = [p for p in range(len(rows[0].first)) if len({row.first[p] for row in rows}) > 1]
    holes = _holes(rows, varying)
    if holes is not None:
        yield _patterns(words, rows[0], varying, holes), _ranges(rows, varying)
        return
    place = varying[0] if varying else None
    parts: dict[object, list[_Row]] = defaultdict(list)
    for count, row in enumerate(rows):  # names that differ in nothing but another side's numbers
        parts[count if place is None else row.first[place]].append(row)
    for part in parts.values():
        yield from _cover(words, part)


def _holes(rows: Sequence[_Row], varying: Sequence[int]) -> list[dict[int, tuple[int, int]]] | None:
    """For each name: number's place -> (place in the first name, offset); None where none fits."""
    spans = [{row.first[p] for row in rows} for p in varying]
    if math.prod(max(span) - min(span) + 1 for span in spans) != len(rows):
        return None
    if math.prod(len(span) for span in spans) != len(rows):
        return None
    columns = {p: [row.first[p] for row in rows] for p in varying}
    result: list[dict[int, tuple[int, int]]] = []
    for name in range(len(rows[0].numbers)):
        holes: dict[int, tuple[int, int]] = {}
        for place in range(len(rows[0].numbers[name])):
            column = [row.numbers[name][place] for row in rows]
            if len(set(column)) == 1:
                continue
            offsets = {
                p: column[0] - values[0]
                for p, values in columns.items()
                if len({a - b for a, b in zip(column, values, strict=True)}) == 1
            }
            if not offsets:
                return None
            p = next(iter(offsets))
            holes[place] = (p, offsets[p])
        if {p for p, _ in holes.values()} != set(varying):
            return None
        result.append(holes)
    return result


def _patterns(
    words: Sequence[Sequence[str]],
    row: _Row,
    varying: Sequence[int],
    holes: Sequence[dict[int, tuple[int, int]]],
) -> tuple[Pattern, ...]:
    letters = dict(zip(varying, _HOLES, strict=False))
    patterns = []
    for texts, numbers, places in zip(words, row.numbers, holes, strict=True):
        parts: list[str | Hole] = []
        literal = texts[0]
        for place, text in enumerate(texts[1:]):
            if place in places:
                p, offset = places[place]
                parts += (
                    [literal, Hole(letters[p], offset)] if literal else [Hole(letters[p], offset)]
                )
                literal = text
            else:
                literal += f"{numbers[place]}{text}"
        patterns.append(Pattern((*parts, literal) if literal else tuple(parts)))
    return tuple(patterns)


def _ranges(rows: Sequence[_Row], varying: Sequence[int]) -> Ranges:
    letters = zip(varying, _HOLES, strict=False)
    return {
        letter: (min(row.first[p] for row in rows), max(row.first[p] for row in rows))
        for p, letter in letters
    }
