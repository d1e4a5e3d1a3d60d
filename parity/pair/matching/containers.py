"""Containers, matched by the layers that ran in them and by those that take what they give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from parity.pair.matching.leaves import Call, Match, shapes_of

Around = tuple[frozenset[int], frozenset[int]]  # the leaves inside, and those that its output feeds


def containers(
    sides: tuple[Mapping[str, Any], Mapping[str, Any]],
    leaves: Sequence[Match],
    names: Mapping[str, str],
) -> Iterator[Match]:
    """Containers around the same matched leaves, whose output goes to the same ones.

    A container may add a function to the leaves in it, as a residual block does, so that of two
    around the same leaves only one may be the other side's; what takes its output tells which. The
    outermost come first, and one that nothing tells of is left out.
    """
    partner = {one.torch: one.paddle for one in leaves}
    same = {one.paddle: one.paddle for one in leaves}
    mine, theirs = (
        _around(trace, label) for trace, label in zip(sides, (partner, same), strict=True)
    )
    for key, numbers in mine.items():
        others = theirs.get(key, [])
        for a, b in zip(numbers, others, strict=False):
            one, other = sides[0]["calls"][a], sides[1]["calls"][b]
            told = bool(key[1]) or len(numbers) == len(others)
            named = names.get(one["path"]) == other["path"]
            if named or (told and shapes_of(one) == shapes_of(other)):
                evidence = ("the same leaves", "output's shape", "where its output goes")
                yield Match(a, b, 1.0 if key[1] or named else 0.8, evidence[: 3 if key[1] else 2])


def _around(trace: Mapping[str, Any], label: Mapping[int, int]) -> dict[Around, list[int]]:
    """The containers' numbers by what is in them and what they feed, outermost first."""
    calls: Sequence[Call] = trace["calls"]
    around: dict[Around, list[int]] = {}
    for number, call in enumerate(calls):
        if call["leaf"]:
            continue
        inside = frozenset(label[k] for k in range(call["began"], number) if k in label)
        if inside:
            around.setdefault((inside, _fed(trace, call, label)), []).insert(0, number)
    return around


def _fed(trace: Mapping[str, Any], call: Call, label: Mapping[int, int]) -> frozenset[int]:
    """The matched leaves that take one of a call's outputs as it is; -1 for the network's own."""
    made = {number for number in call["made"] if number is not None}
    fed = {label[k] for k, other in enumerate(trace["calls"])
           if k in label and made & set(other["from"])}  # fmt: skip
    return frozenset(fed | ({-1} if made & set(trace["made"]) else set()))
