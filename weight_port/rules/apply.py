"""Rules carried out: each tensor of the source used once, each name of the target made once."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from weight_port.errors import MismatchError, one_line
from weight_port.rules.model import Constant, Ranges, Rule, Rules
from weight_port.rules.operations import dtype
from weight_port.rules.patterns import Binding, Pattern

Tensors = Mapping[str, np.ndarray]
_SHOWN = 20  # names of a kind in an error


@dataclass(frozen=True)
class Applied:
    """What rules made of a source."""

    tensors: dict[str, np.ndarray]
    origins: dict[str, tuple[str, ...]]  # of each name of the target that is not made
    made: tuple[str, ...]
    dropped: tuple[str, ...]


class _Problems:
    """What is wrong, by kind, all of it told at once."""

    def __init__(self) -> None:
        self._kinds: dict[str, list[str]] = {}

    def add(self, kind: str, line: str) -> None:
        self._kinds.setdefault(kind, []).append(one_line(line))

    def check(self) -> None:
        """Raises MismatchError where there is any."""
        if not self._kinds:
            return
        lines = ["the tensors are not those that the rules speak of; nothing is converted"]
        for kind, entries in self._kinds.items():
            lines.append(f"  {kind} ({len(entries)}):")
            lines += [f"    {entry}" for entry in entries[:_SHOWN]]
            if len(entries) > _SHOWN:
                lines.append(f"    … and {len(entries) - _SHOWN} more")
        raise MismatchError("\n".join(lines))


def apply(rules: Rules, tensors: Tensors) -> Applied:
    """The target's tensors. Arrays may be views of the source's.

    Raises MismatchError that lists what no rule speaks of, what rules speak of and is not there,
    names that are made twice and tensors that don't fit their operations.
    """
    problems = _Problems()
    plan = _plan(rules, tensors, problems)
    _check_left(rules, tensors, plan, problems)
    problems.check()
    _check_back(plan, rules.made, problems)
    result: dict[str, np.ndarray] = {}
    origins: dict[str, tuple[str, ...]] = {}
    for rule, binding, sources, targets in plan:
        try:
            arrays = _carry_out(rule, binding, [tensors[name] for name in sources], tensors)
            if len(arrays) != len(targets):
                raise MismatchError(f"gives {len(arrays)} tensors for {len(targets)} names")
        except MismatchError as error:
            problems.add("that don't fit their rule", f"{' + '.join(sources)}: {error}")
            continue
        result |= zip(targets, arrays, strict=True)
        origins |= dict.fromkeys(targets, tuple(sources))
    problems.check()
    used = {name for step in plan for name in step[2]}
    made = _make(rules.made, result)
    return Applied(result, origins, made, tuple(name for name in tensors if name not in used))


_Step = tuple[Rule, Binding, list[str], list[str]]


def _plan(rules: Rules, tensors: Tensors, problems: _Problems) -> list[_Step]:
    """Every rule with all that fills it; what is not there, not used or made twice is told."""
    steps: list[_Step] = []
    used: dict[str, Rule] = {}
    made: set[str] = set()
    for rule in rules.rules:
        for binding in _bindings(rule.sources[0], rule.ranges, tensors, problems):
            sources = [pattern.fill(binding) for pattern in rule.sources]
            targets = [pattern.fill(binding) for pattern in rule.targets]
            missing = [name for name in sources if name not in tensors]
            for name in missing:
                problems.add("missing", f"- {name}  (for {targets[0]})")
            for name in sources:
                if used.setdefault(name, rule) is not rule or sources.count(name) > 1:
                    problems.add("used by two rules", f"~ {name}")
            for name in targets:
                if name in made:
                    problems.add("made twice", f"~ {name}")
                made.add(name)
            if not missing:
                steps.append((rule, binding, sources, targets))
    return steps


def _check_left(rules: Rules, tensors: Tensors, plan: Sequence[_Step], problems: _Problems) -> None:
    used = {name for step in plan for name in step[2]}
    left = _dropped(rules.dropped, [name for name in tensors if name not in used], tensors)
    for name in left:
        problems.add("of which no rule speaks", f"+ {name}  {list(tensors[name].shape)}")


def claims(rules: Rules, source: Tensors, target: Tensors) -> tuple[set[str], set[str]]:
    """The names of both sides that rules speak of, which need not be all.

    Raises MismatchError where a rule speaks of what is not there.
    """
    problems = _Problems()
    plan = _plan(rules, source, problems)
    problems.check()
    used = {name for step in plan for name in step[2]}
    left = set(_dropped(rules.dropped, [name for name in source if name not in used], source))
    made = {name for step in plan for name in step[3]}
    others = set(_dropped(rules.made, [name for name in target if name not in made], target))
    return set(source) - left, made | (set(target) - made - others)


def _bindings(
    pattern: Pattern, ranges: Ranges, tensors: Tensors, problems: _Problems
) -> Iterator[Binding]:
    """All that fills a pattern: the ranges' numbers, or else what the names show."""
    if pattern.holes.keys() <= ranges.keys():
        ranges = {name: ranges[name] for name in ranges if name in pattern.holes}
        if math.prod(last - first + 1 for first, last in ranges.values()) > len(tensors):
            problems.add("missing", f"- {pattern}  (it has more names than there are tensors)")
            return
        yield from _numbers(ranges)
        return
    fits = [fit for name in tensors if (fit := pattern.match(name)) and _within(fit, ranges)]
    if not fits:
        problems.add("missing", f"- {pattern}")
    yield from fits


def _numbers(ranges: Ranges) -> Iterator[Binding]:
    spans = [range(first, last + 1) for first, last in ranges.values()]
    for numbers in itertools.product(*spans):
        yield dict(zip(ranges, numbers, strict=True))


def _within(binding: Binding, ranges: Ranges) -> bool:
    return all(
        first <= int(binding[name]) <= last
        for name, (first, last) in ranges.items()
        if name in binding
    )


def _carry_out(
    rule: Rule, binding: Binding, arrays: list[np.ndarray], tensors: Tensors
) -> list[np.ndarray]:
    def fetch(pattern: Pattern) -> np.ndarray:
        key = pattern.fill(binding)
        if key not in tensors:
            raise MismatchError(f"there is no {key} beside it")
        return tensors[key]

    for operation in rule.operations:
        arrays = operation.apply(arrays, fetch)
    return arrays


def _check_back(plan: Sequence[_Step], made: Sequence[Constant], problems: _Problems) -> None:
    """Rules without ranges must not take, on the way back, what others gave."""
    wide = {id(step[0]): step[0] for step in plan if not _is_bounded(step[0])}
    for rule in wide.values():
        others = [name for step in plan if step[0] is not rule for name in step[3]]
        others += [str(constant.name) for constant in made if not constant.name.holes]
        for pattern in rule.targets:
            for name in others:
                if (fit := pattern.match(name)) and _within(fit, rule.ranges):
                    problems.add("that two rules would take back", f"~ {name}  ({rule})")


def _is_bounded(rule: Rule) -> bool:
    return all(pattern.holes.keys() <= rule.ranges.keys() for pattern in rule.sources)


# -- what one side alone has


def _dropped(
    drops: Sequence[Constant], names: Sequence[str], tensors: Iterable[str]
) -> Sequence[str]:
    """The names that no drop speaks of."""
    for drop in drops:
        there = set(tensors)
        names = [name for name in names if not _speaks_of(drop, name, there)]
    return names


def _speaks_of(constant: Constant, name: str, there: set[str]) -> bool:
    binding = constant.name.match(name)
    if binding is None or not _within(binding, constant.ranges):
        return False
    return constant.beside is None or constant.beside.fill(binding) in there


def _make(constants: Sequence[Constant], tensors: dict[str, np.ndarray]) -> tuple[str, ...]:
    """Add what must be made; returns the names. Raises MismatchError."""
    names: list[str] = []
    for constant in constants:
        if constant.shape is None:
            raise MismatchError(f"{constant.name}: give a shape, so that it can be made")
        for name in list(_places(constant, tensors)):
            if name in tensors:
                raise MismatchError(f"{one_line(name)}: a rule gives it, and it is made as well")
            array = np.full(constant.shape, constant.value, dtype(constant.dtype))
            tensors[name] = array
            names.append(name)
    return tuple(names)


def _places(constant: Constant, tensors: Tensors) -> Iterator[str]:
    if constant.beside is None:
        yield from map(constant.name.fill, _numbers(constant.ranges))
        return
    for name in tensors:
        binding = constant.beside.match(name)
        if binding is not None and _within(binding, constant.ranges):
            yield constant.name.fill(binding)
