"""How a pair's tensors stand to each other: as they are, or transposed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from weight_port.rules.evidence.units import LINEAR, Side, Unit, usual
from weight_port.rules.operations import Operation, Transpose

_LINEAR = frozenset(
    word
    for words in ("fc linear proj dense q k v qkv", "classifier head out mlp ffn logits")
    for word in words.split()
)
_TABLES = frozenset(("embedding", "position", "token", "relative", "table", "codebook"))
_TO_HWIO, _FROM_HWIO = (2, 3, 1, 0), (3, 2, 0, 1)


def operations(
    source: Side, target: Side, pairs: Mapping[Unit, Unit], valued: frozenset[Unit]
) -> dict[Unit, tuple[Operation, ...] | None]:
    """What becomes of each pair's main tensor; None where two ways are possible.

    A square linear weight shows nothing: the frameworks decide it, unless another linear layer of
    the same two files contradicts them. The pairs of ``valued`` hold the same numbers.
    """
    rows, tables = (LINEAR.get(side.framework) for side in (source, target))
    expected = rows != tables if rows and tables else None
    turned = {unit: _turned(source, target, unit, other) for unit, other in pairs.items()}
    linear = {unit for unit, other in pairs.items() if is_linear(unit) or is_linear(other)}
    shown = {turned[unit] for unit in linear if turned[unit] is not None}
    result: dict[Unit, tuple[Operation, ...] | None] = {}
    for unit, other in pairs.items():
        if unit.kind == "conv":
            result[unit] = _conv(source, target, unit, other)
        elif unit.kind != "matrix":
            result[unit] = ()
        else:
            agreed = expected if expected is not None and shown <= {expected} else None
            way = _way(unit, other, turned[unit], unit in linear, agreed, len(shown) > 1)
            if unit in valued:
                way = _by_values(usual(source, unit), usual(target, other))
            result[unit] = None if way is None else (Transpose((1, 0)),) if way else ()
    return result


def likely(source: Side, target: Side) -> tuple[Operation, ...]:
    """What would become of a square linear weight, by the two frameworks alone."""
    same = LINEAR.get(source.framework) == LINEAR.get(target.framework)
    return () if same else (Transpose((1, 0)),)


def is_linear(unit: Unit) -> bool:
    """Whether a matrix is surely a linear layer's weight: it has a bias, or is called so."""
    if unit.kind != "matrix" or _TABLES & set(unit.path.words):
        return False
    return "bias" in unit.tensors or bool(_LINEAR & set(unit.path.words))


def _turned(source: Side, target: Side, unit: Unit, other: Unit) -> bool | None:
    """Whether the shapes are each other's transposed; None where they are square."""
    left, right = source.tensors[unit.main].shape, target.tensors[other.main].shape
    return None if unit.kind != "matrix" or left[0] == left[-1] else left != right


def _way(
    unit: Unit, other: Unit, turned: bool | None, linear: bool, agreed: bool | None, mixed: bool
) -> bool | None:
    """Whether a matrix is transposed, None where nothing says so for certain."""
    table = bool(_TABLES & (set(unit.path.words) | set(other.path.words)))
    if turned is not None:
        return None if (table and turned) or (linear and mixed) else turned
    if table:
        return False
    return agreed if linear or agreed is False else None


def _by_values(left: np.ndarray, right: np.ndarray) -> bool:
    return not np.array_equal(left, right)


def _conv(source: Side, target: Side, unit: Unit, other: Unit) -> tuple[Operation, ...]:
    left, right = (side.framework == "keras" for side in (source, target))
    if left == right or len(unit.shape) != 4:
        return ()
    return (Transpose(_FROM_HWIO if left else _TO_HWIO),)
