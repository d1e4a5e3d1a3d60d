"""The map of weights: which tensor of torch's becomes which of Paddle's, and how.

It is derived from the matched layers, by the roles of their tensors. A map of the user's, or of
another source such as rules, has the same form and overrules: ``carry`` and the names under which
tensors are compared follow from it alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.pair.matching import kinds
from parity.pair.matching.match import Matching
from parity.run.inputs import UsageError

Trace = Mapping[str, Any]
Row = Mapping[str, Any]
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Entry:
    """One tensor of Paddle's: ``source``, cut along its first axis, then transposed."""

    source: str  # torch's key
    target: str  # Paddle's
    order: tuple[int, ...] = ()  # of the axes; () for as they are
    part: tuple[int, int] | None = None  # (which, of how many equal parts)
    role: str = ""
    layer: str = ""  # Paddle's call, that it belongs to


_TURNED = (1, 0)
_PROJECTIONS = ("q_proj", "k_proj", "v_proj")  # in the order in which torch packs them


def weight_map(
    torch: Trace, paddle: Trace, matching: Matching, given: Mapping[str, str]
) -> list[Entry]:
    """The entries of two traces, in Paddle's order; ``given`` are torch's keys and Paddle's.

    Raises UsageError for a key that a side does not have.
    """
    rows = {side: {row["key"]: row for row in trace["tensors"]}
            for side, trace in (("torch", torch), ("paddle", paddle))}  # fmt: skip
    entries = [_given(rows, source, target) for source, target in given.items()]
    taken = {entry.target for entry in entries}, {entry.source for entry in entries}
    for match in matching.matches:
        a, b = torch["calls"][match.torch], paddle["calls"][match.paddle]
        for entry in _of_layer(a, b, torch["tensors"], paddle["tensors"]):
            if given.get(entry.source) == entry.target:  # the layer knows its role besides
                entries = [entry if one.target == entry.target else one for one in entries]
            elif entry.target not in taken[0] and entry.source not in taken[1]:
                entries.append(entry)
        taken = {entry.target for entry in entries}, {entry.source for entry in entries}
    entries += _leftover(torch["tensors"], paddle["tensors"], taken)
    place = {key: number for number, key in enumerate(rows["paddle"])}
    return sorted(entries, key=lambda entry: place[entry.target])


def _given(rows: Mapping[str, Mapping[str, Row]], source: str, target: str) -> Entry:
    for side, key in (("torch", source), ("paddle", target)):
        if key not in rows[side]:
            raise UsageError(f"[weights]: {key!r} is no tensor of {side}'s")
    a, b = rows["torch"][source], rows["paddle"][target]
    return Entry(source, target, _order(a, b), role=b["role"])


def _order(a: Row, b: Row) -> tuple[int, ...]:
    """How a tensor of torch's must be turned, by its layer's kind, or its shape where unknown."""
    kind = kinds.BY_NAME.get(b["kind"]) or kinds.BY_NAME.get(a["kind"])
    if len(a["shape"]) != 2:
        return ()
    if kind is not None and kind.transposed:
        return _TURNED if a["role"] in kind.transposed else ()
    return _TURNED if a["shape"] == b["shape"][::-1] != b["shape"] else ()


def _rows_of(call: Mapping[str, Any], tensors: Sequence[Row]) -> dict[str, Row]:
    """A call's own tensors by role, those of the modules inside too where it counts as one."""
    path, inside = call["path"], f"{call['path']}."
    own = {row["role"]: row for row in tensors if row["path"] == path}
    if call["whole"]:
        own |= {row["key"].removeprefix(inside): row
                for row in tensors if row["path"].startswith(inside)}  # fmt: skip
    return own


def _of_layer(
    a: Mapping[str, Any], b: Mapping[str, Any], torch: Sequence[Row], paddle: Sequence[Row]
) -> Iterator[Entry]:
    """The entries of a matched layer."""
    mine, theirs = _rows_of(a, torch), _rows_of(b, paddle)
    if b["kind"] == "attention":
        yield from _attention(mine, theirs, b["call"])
        return
    for role, (source, target) in _roles(b["kind"], mine, theirs).items():
        if source in mine and target in theirs:
            entry = _entry(mine[source], theirs[target], role, b["call"])
            if entry is not None:
                yield entry


def _roles(
    kind: str, mine: Mapping[str, Row], theirs: Mapping[str, Row]
) -> dict[str, tuple[str, str]]:
    row = kinds.BY_NAME.get(kind)
    if row is not None and row.tensors:
        return dict(row.tensors)
    return {name: (name, name) for name in theirs if name in mine}


def _entry(a: Row, b: Row, role: str, layer: str) -> Entry | None:
    """None where no turning makes the one shape the other."""
    order = _order(a, b)
    turned = [a["shape"][axis] for axis in order] if order else a["shape"]
    if turned != b["shape"]:
        return None
    return Entry(a["key"], b["key"], order, role=role, layer=layer)


def _attention(mine: Mapping[str, Row], theirs: Mapping[str, Row], layer: str) -> Iterator[Entry]:
    for role in ("weight", "bias"):
        order = _TURNED if role == "weight" else ()
        for number, name in enumerate(_PROJECTIONS):
            target = theirs.get(f"{name}.{role}")
            if target is not None and f"in_proj_{role}" in mine:
                source = mine[f"in_proj_{role}"]["key"]
                yield Entry(source, target["key"], order, (number, 3), f"{name}.{role}", layer)
        if f"out_proj.{role}" in mine and f"out_proj.{role}" in theirs:
            source, made = (side[f"out_proj.{role}"]["key"] for side in (mine, theirs))
            yield Entry(source, made, order, None, f"out_proj.{role}", layer)


def _leftover(
    torch: Sequence[Row], paddle: Sequence[Row], taken: tuple[set[str], set[str]]
) -> Iterator[Entry]:
    """Tensors of no matched layer, such as a class token: by key, or the only ones of a shape."""
    mine = [row for row in torch if row["key"] not in taken[1]]
    theirs = [row for row in paddle if row["key"] not in taken[0]]
    for b in theirs:
        same = [a for a in mine if a["key"] == b["key"] and a["shape"] == b["shape"]]
        alike = [a for a in mine if a["shape"] == b["shape"] and a["kind"] == b["kind"]]
        only = (
            len(alike)
            == 1
            == sum(c["shape"] == b["shape"] and c["kind"] == b["kind"] for c in theirs)
        )
        if a := next(iter(same or (alike if only else [])), None):
            yield Entry(a["key"], b["key"], _order(a, b), role=b["role"])


def unmapped(torch: Trace, paddle: Trace, entries: Sequence[Entry]) -> dict[str, tuple[str, ...]]:
    """The tensors of either side that no entry speaks of."""
    used = {"torch": {e.source for e in entries}, "paddle": {e.target for e in entries}}
    return {
        side: tuple(row["key"] for row in trace["tensors"]
                    if row["key"] not in used[side])
        for side, trace in (("torch", torch), ("paddle", paddle))
    }  # fmt: skip


def to_paddle(entries: Sequence[Entry], torch: Mapping[str, np.ndarray]) -> Arrays:
    """Paddle's tensors, made of torch's."""
    return {entry.target: _made(entry, torch[entry.source]) for entry in entries}


def _made(entry: Entry, array: np.ndarray) -> np.ndarray:
    if entry.part is not None:
        number, count = entry.part
        array = np.split(array, count)[number]
    return np.ascontiguousarray(array.transpose(entry.order)) if entry.order else array


def to_torch(entries: Sequence[Entry], paddle: Mapping[str, np.ndarray]) -> Arrays:
    """torch's tensors, made of Paddle's."""
    parts: dict[str, dict[int, np.ndarray]] = {}
    for entry in entries:
        array = paddle[entry.target]
        array = array.transpose(np.argsort(entry.order)) if entry.order else array
        parts.setdefault(entry.source, {})[entry.part[0] if entry.part else 0] = array
    return {
        key: np.ascontiguousarray(np.concatenate([pieces[n] for n in sorted(pieces)]))
        if len(pieces) > 1
        else np.ascontiguousarray(pieces[0])
        for key, pieces in parts.items()
    }
