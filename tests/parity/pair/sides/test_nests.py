"""Nests of tensors, flat and back."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest

from parity.pair.sides import nests

Pair = namedtuple("Pair", "h c")


@dataclass
class Output:
    logits: Any
    state: Any = None


def is_leaf(value: Any) -> bool:
    return isinstance(value, float)


@pytest.mark.parametrize(
    ("nest", "paths"),
    [
        (1.0, [""]),
        ((1.0, [2.0, None], 3), ["0", "1.0"]),
        ({"a": 1.0, "b": {"c": (2.0, 3.0)}}, ["a", "b.c.0", "b.c.1"]),
        (OrderedDict(x=1.0), ["x"]),
        (Pair(1.0, (2.0,)), ["0", "1.0"]),
        (Output(1.0, Pair(2.0, 3.0)), ["logits", "state.0", "state.1"]),
        ("text", []),
        (None, []),
        ([], []),
        (Output, []),  # the class itself
    ],
)
def test_leaves_are_named_in_order_and_replaced_in_it(nest: Any, paths: list[str]) -> None:
    leaves = list(nests.leaves(nest, is_leaf))
    assert [path for path, _ in leaves] == paths
    assert [leaf for _, leaf in leaves] == [float(n + 1) for n in range(len(paths))]
    numbers = iter(range(100))
    doubled = nests.replace(nest, is_leaf, lambda leaf: leaf * 2 + next(numbers))
    assert type(doubled) is type(nest)
    expected = [2 * leaf + n for n, (_, leaf) in enumerate(leaves)]
    assert [leaf for _, leaf in nests.leaves(doubled, is_leaf)] == expected


@pytest.mark.parametrize(
    ("flat", "arguments"),
    [
        ({"x": 1}, [1]),
        ({"x": 1, "y": 2}, [1, 2]),
        ({"s.h": 1, "s.c": 2, "x": 3}, [{"h": 1, "c": 2}, 3]),
        ({"s.0": 1, "s.1": 2}, [(1, 2)]),
        ({"s.0.a": 1, "s.1.a": 2}, [({"a": 1}, {"a": 2})]),
        ({"s.1": 1}, [{"1": 1}]),  # no tuple: there is no first
    ],
)
def test_dotted_names_grow_into_arguments(flat: dict[str, int], arguments: list[Any]) -> None:
    assert nests.grown(flat) == arguments
