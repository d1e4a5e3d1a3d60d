"""Whether rules make of one checkpoint the tensors of another: names and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from weight_port.errors import MismatchError, one_line
from weight_port.rules.apply import Applied, apply
from weight_port.rules.model import Rules


@dataclass(frozen=True)
class Verdict:
    """What rules make of a source, held against a target."""

    applied: Applied | None  # None: they don't fit the source
    problems: tuple[str, ...]  # none: the target's names and shapes, each once
    one_way: str  # why the rules can't be reversed; "" where they can

    @property
    def ok(self) -> bool:
        """Whether the rules fit both sides."""
        return not self.problems


def check(
    rules: Rules, source: Mapping[str, np.ndarray], target: Mapping[str, np.ndarray]
) -> Verdict:
    """Carry out the rules on the source; compare names and shapes with the target's."""
    one_way = _one_way(rules)
    try:
        applied = apply(rules, source)
    except MismatchError as error:
        return Verdict(None, (str(error),), one_way)
    made = applied.tensors
    problems = [f"- {name}  {_form(target[name])}: not made" for name in target.keys() - made]
    problems += [f"+ {name}  {_form(made[name])}: not in it" for name in made.keys() - target]
    problems += [
        f"~ {name}  would be {_form(made[name])}, is {_form(target[name])}"
        for name in target
        if name in made and made[name].shape != target[name].shape
    ]
    problems.sort()
    return Verdict(applied, tuple(map(one_line, problems)), one_way)


def _one_way(rules: Rules) -> str:
    try:
        rules.reverse()
    except MismatchError as error:
        return str(error)
    return ""


def _form(array: np.ndarray) -> str:
    return str(list(array.shape))
