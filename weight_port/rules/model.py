"""A port as data: which tensor becomes which, and how; read forwards or backwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from weight_port.errors import MismatchError
from weight_port.rules.operations import Operation
from weight_port.rules.patterns import Pattern

Ranges = Mapping[str, tuple[int, int]]  # a hole -> the first and the last number that it takes
VERSION = 1  # of the file


@dataclass(frozen=True)
class Rule:
    """Tensors of the source that become tensors of the target, for all that fills the holes."""

    sources: tuple[Pattern, ...]
    targets: tuple[Pattern, ...]
    operations: tuple[Operation, ...] = ()
    ranges: Ranges = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{' + '.join(map(str, self.sources))} -> {' + '.join(map(str, self.targets))}"


@dataclass(frozen=True)
class Constant:
    """Tensors that one side alone has, and what they hold where they must be made.

    With ``beside`` there is one for each tensor of the same side that fits that pattern.
    """

    name: Pattern
    shape: tuple[int, ...] | None = None  # None: it is not known how to make it
    dtype: str = "float32"
    value: int | float = 0
    beside: Pattern | None = None
    ranges: Ranges = field(default_factory=dict)


@dataclass(frozen=True)
class Rules:
    """A port from one side to the other; the sides' names are for people."""

    source: str
    target: str
    rules: tuple[Rule, ...]
    made: tuple[Constant, ...] = ()  # in the target, of nothing
    dropped: tuple[Constant, ...] = ()  # of the source, for nothing

    def reverse(self) -> Rules:
        """The port back. Raises MismatchError that names what can't be undone."""
        lost = [str(rule) for rule in self.rules if not is_reversible(rule)]
        lost += [f"dropped {drop.name}" for drop in self.dropped if drop.shape is None]
        if lost:
            raise MismatchError(
                "the rules can't be reversed to the bit; write rules for the way back by hand "
                "(a dropped tensor comes back where its shape is given): " + "; ".join(lost)
            )
        rules = tuple(_reversed(rule) for rule in self.rules)
        return Rules(self.target, self.source, rules, self.dropped, self.made)


def is_reversible(rule: Rule) -> bool:
    """Whether the rule's tensors come back to the bit."""
    return all(operation.inverse() is not None for operation in rule.operations)


def _reversed(rule: Rule) -> Rule:
    inverses = (operation.inverse() for operation in reversed(rule.operations))
    operations = tuple(operation for operation in inverses if operation is not None)
    return Rule(rule.targets, rule.sources, operations, rule.ranges)
