"""Which layer of one side is which of the other: two executions, aligned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from parity.pair.matching.containers import containers
from parity.pair.matching.leaves import Match, align, crossed, evidence_of, leaves_of
from parity.run.inputs import UsageError


@dataclass(frozen=True)
class Matching:
    """The matches in Paddle's order of execution, and the leaves that have none."""

    matches: tuple[Match, ...]
    unmatched: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by framework


def match(
    torch: Mapping[str, Any], paddle: Mapping[str, Any], names: Mapping[str, str]
) -> Matching:
    """The matching of two traces of ``worker.traced``; ``names`` are torch's paths and Paddle's.

    Raises UsageError for a name that no module which ran has.
    """
    _check_names(torch, paddle, names)
    sides = leaves_of(torch), leaves_of(paddle)
    given = {a: b for a, b in names.items() if a in {leaf.call["path"] for leaf in sides[0]}}
    ordered = align(*sides, given)
    rest = list(crossed(*sides, ordered)) if ordered else []
    matches = []
    for i, j in [*ordered, *rest]:
        a, b = sides[0][i], sides[1][j]
        if given.get(a.call["path"]) == b.call["path"]:
            matches.append(Match(a.number, b.number, 1.0, ("named by the user",)))
            continue
        confidence, evidence = evidence_of(a, b, (i, j) in ordered)
        matches.append(Match(a.number, b.number, round(confidence, 2), evidence))
    matches += list(containers((torch, paddle), matches, names))
    matches.sort(key=lambda one: one.paddle)
    done = {one.torch for one in matches}, {one.paddle for one in matches}
    unmatched = {
        side: tuple(leaf.call["call"] for leaf in leaves if leaf.number not in places)
        for side, leaves, places in zip(("torch", "paddle"), sides, done, strict=True)
    }
    return Matching(tuple(matches), unmatched)


def _check_names(
    torch: Mapping[str, Any], paddle: Mapping[str, Any], names: Mapping[str, str]
) -> None:
    pairs = (("torch", torch, names.keys()), ("paddle", paddle, names.values()))
    for side, trace, given in pairs:
        ran = {call["path"] for call in trace["calls"]}
        if unknown := [name for name in given if name not in ran]:
            raise UsageError(
                f"[names]: {unknown[0]!r} is no module of {side}'s that ran; those that did are "
                f"{', '.join(sorted(ran)[:8])}, …"
            )
