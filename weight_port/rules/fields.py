"""What may stand in a rules file, value by value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from weight_port.errors import shown
from weight_port.rules import patterns as names
from weight_port.rules.operations import DTYPES
from weight_port.rules.patterns import Pattern

_MOST = 1 << 20  # of an axis, a part, a number in a name


class Wrong(Exception):
    """What is wrong with a value; the rest of a sentence that begins with its place."""


_MUST: Any = object()


def take(
    table: Mapping[str, Any], key: str, read_one: Callable[[Any], Any], usual: Any = _MUST
) -> Any:
    """A value of a table, ``usual`` where it has none."""
    if key not in table:
        if usual is _MUST:
            raise Wrong(f"{key} must be there")
        return usual
    try:
        return read_one(table[key])
    except (Wrong, ValueError) as error:
        raise Wrong(f"{key}: {error}") from None


def known(table: Mapping[str, Any], keys: set[str], what: str) -> None:
    """Raises Wrong for a key that is not one of ``keys``."""
    if unknown := {key: table[key] for key in table if key not in keys}:
        raise Wrong(f"{what} has no {listed(unknown)}, but {', '.join(sorted(keys))}")


def listed(table: Mapping[str, Any]) -> str:
    """Keys of a table, for an error."""
    return ", ".join(shown(key) for key in list(table)[:4]) or "nothing"


def text(value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise Wrong(f"must be a text, not {shown(value)}")
    return value


def number(value: Any) -> int | float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _is_finite(value):
        raise Wrong(f"must be a finite number, not {shown(value)}")
    return value


def _is_finite(value: int | float) -> bool:
    return abs(value) < 1 << 64 if isinstance(value, int) else math.isfinite(value)


def whole(value: Any) -> int:
    """A whole number, at least 0."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise Wrong(f"must be a whole number from 0 to {_MOST}, not {shown(value)}")
    return value


def wholes(value: Any) -> tuple[int, ...]:
    """A list of whole numbers."""
    if not isinstance(value, list):
        raise Wrong(f"must be a list of whole numbers, not {shown(value)}")
    return tuple(map(whole, value))


def sizes(value: Any) -> tuple[int, ...]:
    """A shape."""
    sizes = wholes(value)
    if math.prod(sizes) > 1 << 32 or len(sizes) > 32:
        raise Wrong("a shape with more elements than a tensor has")
    return sizes


def order(value: Any) -> tuple[int, ...]:
    """Every number from 0 on once, in any order."""
    order = wholes(value)
    if not order or sorted(order) != list(range(len(order))):
        raise Wrong("must have every number from 0 to one less than its length once")
    return order


def parts(value: Any) -> int | tuple[int, ...]:
    """A number of equal parts, or the length of each."""
    lengths = (whole(value),) if isinstance(value, int) else wholes(value)
    if not lengths or min(lengths) < 1:
        raise Wrong("must be a number of equal parts, or their lengths")
    return lengths[0] if isinstance(value, int) else lengths


def dtype(value: Any) -> str:
    """The name of a dtype."""
    if value not in DTYPES:
        raise Wrong(f"one of {', '.join(DTYPES)}, not {shown(value)}")
    return str(value)


def pattern(value: Any) -> Pattern:
    """A name with holes."""
    return names.parse(text(value))


def patterns(value: Any) -> tuple[Pattern, ...]:
    """One name or a list of them."""
    texts = value if isinstance(value, list) else [value]
    if not texts:
        raise Wrong("must have a name")
    return tuple(map(pattern, texts))


def ranges(table: Mapping[str, Any], holes: set[str]) -> dict[str, tuple[int, int]]:
    """The first and the last number of the holes that have them."""
    value = table.get("where", {})
    if not isinstance(value, dict):
        raise Wrong("where: must be { i = [first, last] }")
    limits_of = {}
    for name in value:
        if name not in holes:
            raise Wrong(f"where: {shown(name)} is no number's hole of the names")
        limits = take(value, name, wholes)
        if len(limits) != 2 or limits[0] > limits[1]:
            raise Wrong(f"where: {name} must be [first, last]")
        limits_of[name] = (limits[0], limits[1])
    return limits_of
