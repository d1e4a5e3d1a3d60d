"""Rules out of two checkpoints: what the evidence decides, and what it leaves open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from weight_port.rules.evidence import layouts
from weight_port.rules.evidence.matching import match
from weight_port.rules.evidence.pairs import VALUES, Matching
from weight_port.rules.evidence.units import Side, Unit
from weight_port.rules.evidence.units import side as side_of
from weight_port.rules.evidence.values import same_values
from weight_port.rules.generalise import General, generalise
from weight_port.rules.model import Constant, Rule, Rules
from weight_port.rules.operations import Fold, Operation
from weight_port.rules.patterns import literal

Tensors = Mapping[str, np.ndarray]
GUESSED = "accepted as guessed"
_MADE: dict[str, tuple[tuple[int, ...] | None, str, int]] = {  # role -> shape, dtype, value
    "counter": ((), "int64", 0),
    "factor": ((1,), "float32", 1),
    "bias": (None, "float32", 0),
}


@dataclass(frozen=True)
class Pair:
    """A tensor of the source, that of the target, and why."""

    source: str
    target: str
    evidence: str
    operations: tuple[Operation, ...] = ()
    folded: str = ""  # a tensor of the source that the operations take up


@dataclass(frozen=True)
class Open:
    """Tensors that nothing decides: any of these may become any of those."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    why: str
    guess: tuple[Pair, ...] = ()  # the likeliest of them, by nothing but order


@dataclass
class Derivation:
    """What is decided of a port, and what not."""

    source: Side
    target: Side
    pairs: list[Pair] = field(default_factory=list)
    made: list[tuple[str, Constant]] = field(default_factory=list)
    dropped: list[tuple[str, Constant]] = field(default_factory=list)
    open: list[Open] = field(default_factory=list)

    @property
    def evidence(self) -> dict[str, int]:
        """How many tensors each kind of evidence decided."""
        return dict(Counter(pair.evidence for pair in self.pairs).most_common())

    def rules(self) -> Rules:
        """What is decided, as patterns; names alone where they don't generalise."""
        entries = [(_names(pair), (pair.operations, bool(pair.folded))) for pair in self.pairs]
        rules = tuple(_rule(general) for general in generalise(entries))
        made, dropped = (tuple(_constants(side)) for side in (self.made, self.dropped))
        return Rules(self.source.framework, self.target.framework, rules, made, dropped)


def derive(source: Tensors, target: Tensors, frameworks: tuple[str, str] = ("", "")) -> Derivation:
    """Which tensor of the source is which of the target, as far as the evidence decides.

    ``frameworks`` (torch, paddle, keras, caffe) are those that the files' formats show, "" where
    they show none.
    """
    sides = side_of(source, frameworks[0]), side_of(target, frameworks[1])
    matching = match(*sides, same_values(*sides))
    result = Derivation(*sides)
    valued = frozenset(u for u, evidence in matching.evidence.items() if evidence == VALUES)
    steps = layouts.operations(*sides, matching.pairs, valued)
    for unit, other in matching.pairs.items():
        _add(result, matching, unit, other, steps[unit])
    opened = {
        unit: other for pair in matching.open_groups().values() for unit, other in _guess(*pair)
    }
    steps = layouts.operations(*sides, opened, frozenset())
    for left, right in matching.open_groups().values():
        guess = tuple(
            Pair(name, other.tensors[role], GUESSED, steps[unit] or () if name == unit.main else ())
            for unit, other in _guess(left, right)
            for role, name in unit.tensors.items()
        )
        result.open.append(replace(_left_open(left, right), guess=guess))
    return result


def _guess(left: Sequence[Unit], right: Sequence[Unit]) -> list[tuple[Unit, Unit]]:
    """The units in the order of their names, where as many are here as there."""
    if len(left) != len(right):
        return []
    sides = [
        sorted(side, key=lambda unit: (unit.path.numbers, unit.path.words))
        for side in (left, right)
    ]
    pairs = list(zip(*sides, strict=True))
    return pairs if all(a.tensors.keys() == b.tensors.keys() for a, b in pairs) else []


def _add(
    result: Derivation,
    matching: Matching,
    unit: Unit,
    other: Unit,
    steps: tuple[Operation, ...] | None,
) -> None:
    evidence = matching.evidence[unit]
    factor = unit.tensors.get("factor") if "factor" not in other.tensors else None
    for role, name in unit.tensors.items():
        if role not in other.tensors:
            _drop(result, matching, unit, role, name)
            continue
        own = steps if name == unit.main else ()
        if own is None:
            why = "square, and nothing says for certain whether it is transposed"
            guess = Pair(name, other.tensors[role], GUESSED, layouts.likely(*matching.sides))
            result.open.append(Open((name,), (other.tensors[role],), why, (guess,)))
            continue
        folded = factor if role in ("mean", "variance") else None
        if folded:
            own = (*own, Fold("factor", literal("")))
        result.pairs.append(Pair(name, other.tensors[role], evidence, own, folded or ""))
    for role in other.tensors.keys() - unit.tensors:
        name = other.tensors[role]
        shape, dtype, value = _MADE.get(role, (None, "", 0))
        if dtype:
            sizes = result.target.tensors[name].shape if shape is None else shape
            result.made.append((name, Constant(literal(name), sizes, dtype, value)))
        else:
            result.open.append(Open((), (name,), f"the source has none beside {unit.main}"))


def _drop(result: Derivation, matching: Matching, unit: Unit, role: str, name: str) -> None:
    """A tensor for which the target has no place: a batch norm may stand before or after it."""
    array = result.source.tensors[name]
    if role == "counter":
        result.dropped.append((name, Constant(literal(name), (), "int64", 0)))
    elif role == "factor":
        result.dropped.append((name, Constant(literal(name))))
    elif role == "bias" and not array.any():
        result.dropped.append((name, Constant(literal(name), array.shape, str(array.dtype), 0)))
    else:
        other = matching.pairs[unit].main
        why = f"{other} has none; fold it into the norm that follows, or drop it, by a rule"
        result.open.append(Open((name,), (), why))


def _left_open(left: Sequence[Unit], right: Sequence[Unit]) -> Open:
    sources = tuple(name for unit in left for name in unit.tensors.values())
    targets = tuple(name for unit in right for name in unit.tensors.values())
    if not right:
        return Open(sources, (), "the target has none of this kind and shape left")
    if not left:
        return Open((), targets, "the source has none of this kind and shape left")
    kind, shape = left[0].group
    if len(left) != len(right):
        why = f"{kind} {list(shape)}: {len(left)} here and {len(right)} there"
        return Open(sources, targets, why)
    return Open(sources, targets, f"{kind} {list(shape)}: no evidence tells them apart")


def accept(derivation: Derivation) -> Derivation:
    """What is open taken as guessed: what has no counterpart in the target is dropped.

    What the target needs and nothing gives stays open.
    """
    still = []
    for item in derivation.open:
        if item.guess:
            derivation.pairs += item.guess
        elif not item.targets:
            derivation.dropped += [(name, Constant(literal(name))) for name in item.sources]
        else:
            still.append(item)
    derivation.open = still
    return derivation


# -- as rules


def _names(pair: Pair) -> tuple[str, ...]:
    return (pair.source, pair.target, *([pair.folded] if pair.folded else []))


def _rule(general: General) -> Rule:
    source, target, *others = general.names
    steps: tuple[Operation, ...] = general.what[0]  # type: ignore[index]
    filled = tuple(Fold(step.what, others[0]) if isinstance(step, Fold) else step for step in steps)
    return Rule((source,), (target,), filled, general.ranges)


def _constants(entries: Sequence[tuple[str, Constant]]) -> Iterator[Constant]:
    rows = [((name,), replace(constant, name=literal("-"))) for name, constant in entries]
    kinds = {str(key): key for _, key in rows}
    for (name,), ranges, key in generalise((names, str(key)) for names, key in rows):
        yield replace(kinds[str(key)], name=name, ranges=ranges)
