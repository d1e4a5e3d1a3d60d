"""What a set of tensors is: its dialect, architecture and sizes, read off keys and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from weight_port.arch import ARCHITECTURES, Sizes, class_layers, parameters, top_layers
from weight_port.dialects.keys import COUNTER, DIALECTS, Key, keys, marks
from weight_port.errors import DialectError

_ENOUGH = 0.5  # share of keys that must fit before a file is called a damaged X, not "unknown"


@dataclass(frozen=True)
class Detection:
    """What a set of tensors is, read off its keys and shapes."""

    dialect: str
    architecture: str
    num_classes: int
    in_channels: int
    include_top: bool  # a classifier is there
    hidden: int  # width of its hidden layers; 0: it has none
    reason: str
    aliases: tuple[str, ...] = ()  # dialects that give this network the same keys
    twins: tuple[str, ...] = ()  # architectures with the same keys and shapes in this dialect

    @property
    def sizes(self) -> Sizes:
        """What the row leaves open, as ``arch.layers`` takes it."""
        return Sizes(num_classes=self.num_classes, in_channels=self.in_channels, hidden=self.hidden)

    def keys(self, include_top: bool | None = None) -> Mapping[str, Key]:
        """The keys that a complete file of this kind has."""
        top = self.include_top if include_top is None else include_top
        return keys(self.dialect, self.architecture, include_top=top, **self.sizes)

    @property
    def undecided(self) -> str:
        """What the tensors leave open, in a sentence; "" for nothing."""
        said = []
        if self.aliases:
            said.append(f"{' and '.join(self.aliases)} has the same names")
        if self.twins:
            said.append(
                f"the tensors could be those of {' or '.join(self.twins)} too, which a state dict "
                f"can't tell apart; {self.architecture} is what {self.dialect} builds by default"
            )
        return "; ".join(said)


def _length(tensors: Mapping[str, np.ndarray], key: str, entry: Key, axis: int, usual: int) -> int:
    """Length of one axis of a tensor in the scheme's layout, ``usual`` where it is not there."""
    shape = tensors[key].shape if key in tensors else ()
    place = entry.order.index(axis) if entry.order else axis
    return int(shape[place]) if len(shape) > place and shape[place] else usual


# A parameter's role -> the axis of its layer's outputs; biases first, which no dialect transposes.
_OUTPUTS = {"linear_bias": 0, "bias": 0, "linear_weight": 1, "weight": 0}


def _outputs(tensors: Mapping[str, np.ndarray], entries: Mapping[str, Key], usual: int) -> int:
    """How many outputs layers of equal width have, by the last of their tensors that is there."""
    for role, axis in _OUTPUTS.items():
        for key, entry in reversed(list(entries.items())):
            if entry.role == role and key in tensors:
                return _length(tensors, key, entry, axis, usual)
    return usual


def _sizes(
    tensors: Mapping[str, np.ndarray], name: str, expected: Mapping[str, Key]
) -> tuple[Sizes, Sizes]:
    """What the row has and what the tensors show."""
    row = ARCHITECTURES[name]
    usual = Sizes(num_classes=row.classes, in_channels=row.in_channels, hidden=row.hidden)
    stem, classes = next(iter(expected)), class_layers(name)
    found = usual.copy()
    found["in_channels"] = _length(tensors, stem, expected[stem], 1, row.in_channels)
    last = {key: entry for key, entry in expected.items() if entry.layer in classes}
    found["num_classes"] = _outputs(tensors, last, row.classes)
    if row.hidden:
        linear = {k: e for k, e in expected.items() if k not in last and "linear" in e.role}
        found["hidden"] = _outputs(tensors, linear, row.hidden)
    return usual, found


def _candidate(
    tensors: Mapping[str, np.ndarray], dialect: str, name: str
) -> tuple[tuple[float, int], Detection]:
    """((share of keys that fit, minus the mis-shaped ones), what the file would be)."""
    expected = keys(dialect, name)
    usual, sizes = _sizes(tensors, name, expected)
    if sizes != usual:
        expected = keys(dialect, name, **sizes)
    head = top_layers(name)
    top = any(key in tensors for key, entry in expected.items() if entry.layer in head)
    needed = {
        key
        for key, entry in expected.items()
        if entry.role != "counter" and (top or entry.layer not in head)
    }
    mine = {key for key in tensors if key not in expected or expected[key].role != "counter"}
    hits = needed & mine
    wrong = sum(tensors[key].shape != expected[key].shape for key in hits)
    reason = f"{len(hits)} of its {len(mine)} names are those of {name} in {dialect}"
    score = (len(hits) / max(1, len(needed | mine)), -wrong)
    return score, Detection(dialect, name, **sizes, include_top=top, reason=reason)


def check_dialect(name: str) -> None:
    """Raises DialectError, which lists the dialects, for a name that is none of them."""
    if name not in DIALECTS:
        raise DialectError(f"unknown dialect {name!r}: one of {', '.join(DIALECTS)}")


def _alike(dialect: str, name: str) -> list[str]:
    """The architectures of a dialect that have the keys and shapes of ``name``, itself included."""
    tensors = ARCHITECTURES[name].tensors
    return [other for other in DIALECTS[dialect].holds if ARCHITECTURES[other].tensors == tensors]


def _unlike(dialect: str) -> list[str]:
    """The first of the dialect's architectures for every set of keys and shapes."""
    first: dict[object, str] = {}
    for name in DIALECTS[dialect].holds:
        first.setdefault(ARCHITECTURES[name].tensors, name)
    return list(first.values())


@lru_cache
def _top_tensors(name: str) -> int:
    """How many tensors of the scheme a file without a classifier lacks."""
    return len(parameters(name)) - len(parameters(name, include_top=False))


def _bound(most: int, least: int, dialect: str, name: str) -> float:
    """The share of keys that fit at best, from their number alone: all, and all but counters."""
    row = DIALECTS[dialect]
    network = ARCHITECTURES[name]
    convolutions, linear = network.counts
    norm = 4 + ("factor" in row.suffixes) if network.normed else 0
    each = 1 + network.biased + norm + (row.biased == "*")
    whole = convolutions * each + 2 * linear * (row.linear is not None)
    most, least = most + 1, least - 1  # Caffe's one bias may be there or not
    forms = (whole, whole - _top_tensors(name))
    return max(min(1.0, form / max(1, least), most / form) for form in forms)


def _candidates(
    tensors: Mapping[str, np.ndarray], dialect: str | None, architecture: str | None
) -> list[tuple[tuple[float, int], Detection]]:
    """The best architectures of the dialects whose stem or first block is there."""
    counts = (len(tensors), sum(not key.endswith(COUNTER) for key in tensors))
    bounds = [
        (_bound(*counts, row.name, name), row.name, name)
        for row in DIALECTS.values()
        if dialect == row.name or (dialect is None and not marks(row.name).isdisjoint(tensors))
        for name in (row.holds if architecture else _unlike(row.name))
        if architecture in (name, None)
    ]
    found: dict[tuple[str, str], tuple[tuple[float, int], Detection]] = {}
    best = 0.0
    for bound, library, name in sorted(bounds, key=lambda item: -item[0]):
        if bound < best:
            break
        found[library, name] = _candidate(tensors, library, name)
        best = max(best, found[library, name][0][0])
    return [
        found[row, name] for _, row, name in bounds if (row, name) in found
    ]  # in the table's order


def _way_out(tensors: Mapping[str, np.ndarray], unlike: list[Detection]) -> str:
    """How to choose between dialects, or what two networks of one dialect would be told by."""
    if len({found.dialect for found in unlike}) > 1:
        return "say which with --from (source=…)"
    one, other = unlike[0].keys(True), unlike[1].keys(True)
    both = {**other, **one}
    key = next(key for key in both if one.get(key) != other.get(key))
    seen = f"is {list(tensors[key].shape)}" if key in tensors else "is missing"
    return (
        f"they differ in {key}  ({both[key].name}), which {seen}: put it right, or say which with "
        "--architecture (architecture=…)"
    )


def detect(
    tensors: Mapping[str, np.ndarray], dialect: str | None = None, architecture: str | None = None
) -> Detection:
    """The dialect and architecture that the keys and shapes fit best.

    ``dialect`` and ``architecture`` limit the choice to one each. The fit need not be perfect
    (``check`` says what is wrong). Of architectures with the same tensors, and of dialects with the
    same names, the first of the table is taken and the others are listed (``undecided``). Raises
    DialectError where nothing fits half, or where two unlike ones fit equally well.
    """
    if dialect is not None:
        check_dialect(dialect)
    if architecture is not None and architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise DialectError(f"unknown architecture {architecture!r}: one of {known}")
    found = _candidates(tensors, dialect, architecture)
    best = max((score for score, _ in found), default=(0.0, 0))
    winners = [detection for score, detection in found if score == best]
    if best[0] < _ENOUGH:
        some = ", ".join(list(tensors)[:4]) or "none at all"
        nearest = "; ".join(winner.reason for winner in winners) if best[0] else "none of them"
        raise DialectError(
            f"the names fit no network in {dialect or ' or '.join(DIALECTS)} (nearest: {nearest}); "
            f"the first names are {some}"
        )
    unlike: list[Detection] = []
    for winner in winners:
        # Without a classifier and batch norms two frameworks' files can be the very same.
        if all(winner.keys() != other.keys() for other in unlike):
            unlike.append(winner)
    if len(unlike) > 1:
        both = " and ".join(f"{w.architecture} in {w.dialect}" for w in unlike)
        raise DialectError(f"the names fit {both} equally well; {_way_out(tensors, unlike)}")
    first = winners[0]
    twins = () if architecture else tuple(_alike(first.dialect, first.architecture)[1:])
    return replace(first, aliases=tuple(w.dialect for w in winners[1:]), twins=twins)
