"""Leaves, the calls that ran no other module: aligned as two texts are, by a score.

The score is of the kind of layer, the shape of the output, the shapes of the tensors, their values,
the name; names that the user gives overrule. What is left is matched out of order where only one
candidate fits, as for a shortcut that one side computes before the branch and the other after.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from parity.pair.matching import kinds

Call = Mapping[str, Any]
_GAP = -0.5  # the score of a leaf that has no partner
_NEVER = -1e9
_VALUES = 6.0  # for the same values in both layers' tensors
# What speaks for a match, and how much of it all that is; the confidence is the sum.
EVIDENCE = {"kind": 0.25, "output's shape": 0.2, "tensors' shapes": 0.25, "order": 0.2, "name": 0.1}


@dataclass(frozen=True)
class Match:
    """A call of either side that is the other's, by its number in the trace."""

    torch: int
    paddle: int
    confidence: float
    evidence: tuple[str, ...]


def shapes_of(call: Call) -> list[list[int]]:
    return [shape for _, shape, _ in call["outputs"]]


def _kind_row(call: Call) -> kinds.Kind | None:
    return kinds.BY_NAME.get(call["kind"])


def _owned(call: Call, tensors: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """A call's own tensors, those of the modules inside too where it counts as one."""
    path, inside = call["path"], call["path"] + "."
    return [row for row in tensors if row["path"] == path or
            (call["whole"] and row["path"].startswith(inside))]  # fmt: skip


def _leaf(number: int, call: Call, tensors: Sequence[Mapping[str, Any]]) -> Leaf:
    owned = _owned(call, tensors)
    # Sorted sides are the same for a weight and its transpose.
    shapes = sorted(tuple(sorted(row["shape"])) for row in owned)
    return Leaf(number, call, tuple(shapes), sum(row["sum"] for row in owned) % 2**64)


def _volume(shapes: Sequence[Sequence[int]]) -> int:
    total = 0
    for shape in shapes:
        count = 1
        for side in shape:
            count *= side
        total += count
    return total


@dataclass(frozen=True)
class Leaf:
    """What counts of a leaf; leaves of equal signatures score alike."""

    number: int  # in the trace
    call: Call
    tensors: tuple[tuple[int, ...], ...]
    sum: int  # of their bit patterns, equal for equal values in any layout; 0 without tensors

    @cached_property
    def signature(self) -> tuple[Any, ...]:
        last = self.call["path"].rpartition(".")[2]
        shapes = tuple(map(tuple, shapes_of(self.call)))
        return self.call["kind"], self.call["class"], shapes, self.tensors, last


def leaves_of(trace: Mapping[str, Any]) -> list[Leaf]:
    return [
        _leaf(number, call, trace["tensors"])
        for number, call in enumerate(trace["calls"])
        if call["leaf"] and call["kind"] not in kinds.IDLE
    ]


def _score(a: Leaf, b: Leaf) -> float:
    """How well two leaves fit, below 0 for a pair that is worse than none."""
    one, other = _kind_row(a.call), _kind_row(b.call)
    equal = same_tensors(a, b)
    if one is None or other is None:
        named = a.call["class"].lower() == b.call["class"].lower()
        if (one is None) != (other is None) and not (a.tensors and equal):
            return _NEVER
        score = 3.0 if named else 1.0
    elif one is other:
        score = 3.0
    elif one.family and one.family == other.family:
        score = 1.0
    else:
        return _NEVER
    if shapes_of(a.call) == shapes_of(b.call):
        score += 2.0
    elif _volume(shapes_of(a.call)) != _volume(shapes_of(b.call)):
        score -= 2.0
    if a.tensors or b.tensors:
        score += 3.0 if equal else -2.0
    score += 0.5 * (_last(a) == _last(b))
    return score


def same_tensors(a: Leaf, b: Leaf) -> bool:
    """Equal shapes; of kinds that pack their tensors, equal in all."""
    if a.call["whole"] and b.call["whole"]:
        return _volume(a.tensors) == _volume(b.tensors)
    return a.tensors == b.tensors


def same_values(a: Leaf, b: Leaf) -> bool:
    """Whether both hold the same values: the weights were ported from one to the other."""
    return bool(a.tensors) and a.sum == b.sum and same_tensors(a, b)


def _last(leaf: Leaf) -> str:
    return str(leaf.call["path"].rpartition(".")[2])


def align(
    torch: Sequence[Leaf], paddle: Sequence[Leaf], names: Mapping[str, str]
) -> list[tuple[int, int]]:
    """Pairs of places in the two lists, in order: the alignment of the highest score."""
    inverse = {b: a for a, b in names.items()}
    scores: dict[tuple[Any, Any], float] = {}
    values = [{leaf.sum for leaf in side if leaf.tensors} for side in (torch, paddle)]

    def score(a: Leaf, b: Leaf) -> float:
        if a.call["path"] in names or b.call["path"] in inverse:
            return 100.0 if names.get(a.call["path"]) == b.call["path"] else _NEVER
        key = a.signature, b.signature
        if key not in scores:
            scores[key] = _score(a, b)
        if same_values(a, b):
            return scores[key] + _VALUES
        # Weights that another layer has as they are are that layer's.
        return scores[key] - _VALUES * (a.sum in values[1] or b.sum in values[0])

    rows, columns = len(torch), len(paddle)
    best = [[_GAP * (i + j) for j in range(columns + 1)] for i in range(rows + 1)]
    for i, a in enumerate(torch, 1):
        above, row = best[i - 1], best[i]
        for j, b in enumerate(paddle, 1):
            row[j] = max(above[j - 1] + score(a, b), above[j] + _GAP, row[j - 1] + _GAP)
    pairs = []
    i, j = rows, columns
    while i and j:
        if best[i][j] == best[i - 1][j - 1] + score(torch[i - 1], paddle[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif best[i][j] == best[i - 1][j] + _GAP:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def crossed(
    torch: Sequence[Leaf], paddle: Sequence[Leaf], pairs: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Pairs of what the alignment left: of one kind, shape and tensors, and the only such ones.

    Layers without tensors are left out: of two ReLUs at other places none is the other, where each
    side has one of them as a function.
    """
    taken = [set(places) for places in zip(*pairs, strict=True)] or [set(), set()]
    left = [
        [place for place in range(len(side)) if place not in used]
        for side, used in zip((torch, paddle), taken, strict=True)
    ]
    for i in (place for place in left[0] if torch[place].tensors):
        same = [j for j in left[1] if same_values(torch[i], paddle[j])]
        if len(same) == 1:
            yield i, same[0]
            continue
        fits = [j for j in left[1] if _alike(torch[i], paddle[j])]
        back = [k for k in left[0] if fits and _alike(torch[k], paddle[fits[0]])]
        if len(fits) == 1 and len(back) == 1:
            yield i, fits[0]


def _alike(a: Leaf, b: Leaf) -> bool:
    return a.signature[0] == b.signature[0] and a.signature[2:4] == b.signature[2:4]


def evidence_of(a: Leaf, b: Leaf, in_order: bool) -> tuple[float, tuple[str, ...]]:
    holds = {
        "kind": a.call["kind"] == b.call["kind"] and a.call["kind"] != kinds.OTHER,
        "output's shape": shapes_of(a.call) == shapes_of(b.call),
        "tensors' shapes": bool(a.tensors or b.tensors) and same_tensors(a, b),
        "order": in_order,
        "name": _last(a) == _last(b),
    }
    applicable = dict(EVIDENCE)
    if not a.tensors and not b.tensors:
        del applicable["tensors' shapes"]
    found = tuple(name for name in applicable if holds[name])
    if same_values(a, b):
        return 1.0, (*found, "tensors' values")
    return sum(EVIDENCE[name] for name in found) / sum(applicable.values()), found
