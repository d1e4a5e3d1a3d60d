"""Comparisons of two modules as text, with what explains a difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from parity.comparison.compare import Comparison, apart
from parity.modules.calls import framework_of


def _training(side: Any) -> list[str]:
    """The names of a module's parts that are in training mode, "itself" for the whole."""
    walk = {"torch": "named_modules", "paddle": "named_sublayers"}.get(framework_of(side))
    parts = dict(getattr(side, walk)()) if walk else {}
    inner = [name for name, part in parts.items() if name and part.training]
    return (["itself"] if walk and side.training else []) + inner


def in_training(first: Any, second: Any) -> str:
    """Which side is in training mode, as a line; "" where none is."""
    lines = []
    for label, side in (("first", first), ("second", second)):
        if parts := _training(side):
            named = ", ".join(parts[:4]) + (", …" if len(parts) > 4 else "")
            lines.append(f"the {label} ({framework_of(side)}) is in training mode: {named}")
    if not lines:
        return ""
    return f"\n{'; '.join(lines)}. Call eval() on both for what they compute in use"


def summary(comparisons: Sequence[Comparison]) -> str:
    """The comparisons as a table, and the first that differs."""
    rows = [
        [
            output.name,
            "×".join(map(str, output.shape)),
            f"{output.max_abs:.1e}",
            *apart(output.relative_l2, output.allowed),
            *(f"{value:.1e}" for value in (output.torch_error, output.paddle_error)),
            "equal" if output.passed else "DIFFERENT",
        ]
        for output in comparisons
    ]
    headers = ("output", "shape", "max abs", "relative L2", "allowed", "first's error",
               "second's error", "verdict")  # fmt: skip
    wrong = [output for output in comparisons if not output.passed]
    last = f"first that differs: {wrong[0].name}: {wrong[0].problem}" if wrong else "EQUAL"
    table = tabulate(rows, headers=headers, disable_numparse=True)
    return f"{table}\nerrors: relative L2 from the second in float64\n{last}"
