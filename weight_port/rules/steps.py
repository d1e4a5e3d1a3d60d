"""The operations as a rules file has them: the key that names one, and what else it has."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from weight_port.errors import shown
from weight_port.rules import fields, operations
from weight_port.rules.operations import Operation

Table = Mapping[str, Any]


def read(value: Any) -> tuple[Operation, ...]:
    """The operations of ``do = [...]``. Raises Wrong."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise fields.Wrong("must be a list of { operation = … }")
    return tuple(map(_operation, value))


def _operation(table: Table) -> Operation:
    names = [name for name in table if name in _OPERATIONS]
    if len(names) != 1:
        known = ", ".join(_OPERATIONS)
        raise fields.Wrong(f"each has one of {known}; here is {fields.listed(table)}")
    others, make = _OPERATIONS[names[0]]
    fields.known(table, {names[0], *others}, names[0])
    return make(table)


def _transpose(table: Table) -> Operation:
    return operations.Transpose(fields.take(table, "transpose", fields.order))


def _reshape(table: Table) -> Operation:
    shape = fields.take(table, "reshape", fields.sizes)
    before = fields.take(table, "of", fields.sizes)
    if math.prod(shape) != math.prod(before):
        raise fields.Wrong(f"{list(before)} and {list(shape)} have different numbers of elements")
    return operations.Reshape(shape, before)


def _split(table: Table) -> Operation:
    return operations.Split(
        fields.take(table, "split", fields.parts), fields.take(table, "axis", fields.whole, 0)
    )


def _concatenate(table: Table) -> Operation:
    parts = fields.take(table, "concatenate", fields.parts)
    return operations.Concatenate(parts, fields.take(table, "axis", fields.whole, 0))


def _permute(table: Table) -> Operation:
    return operations.Permute(
        fields.take(table, "permute", fields.order), fields.take(table, "axis", fields.whole, 0)
    )


def _cast(table: Table) -> Operation:
    return operations.Cast(
        fields.take(table, "cast", fields.dtype), fields.take(table, "of", fields.dtype)
    )


def _scale(table: Table) -> Operation:
    factor = float(fields.take(table, "scale", fields.number))
    if factor == 0 or not math.isfinite(1 / factor):
        raise fields.Wrong("scale: a factor that nothing undoes")
    return operations.Scale(factor)


def _fold(table: Table) -> Operation:
    what = fields.take(table, "fold", fields.text)
    if what not in operations.FOLDS:
        raise fields.Wrong(f"fold: one of {', '.join(operations.FOLDS)}, not {shown(what)}")
    epsilons = [float(fields.take(table, key, fields.number, 0)) for key in ("before", "after")]
    if (what == "epsilon") != all(value > 0 for value in epsilons):
        raise fields.Wrong(
            "fold: before and after are the epsilons of epsilon, above 0, and of no other"
        )
    return operations.Fold(what, fields.take(table, "with", fields.pattern), *epsilons)


_OPERATIONS: dict[str, tuple[set[str], Callable[[Table], Operation]]] = {
    "transpose": (set(), _transpose),
    "reshape": ({"of"}, _reshape),
    "split": ({"axis"}, _split),
    "concatenate": ({"axis"}, _concatenate),
    "permute": ({"axis"}, _permute),
    "cast": ({"of"}, _cast),
    "scale": (set(), _scale),
    "fold": ({"with", "before", "after"}, _fold),
}
