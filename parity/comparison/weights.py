"""Two networks' tensors, name by name: which of them differ, and by how much.

Outputs alone don't show it: a channel may be shut on the images at hand, and in training mode a
batch norm doesn't look at its running statistics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

_VALUES = 1 << 20  # at a time: in float64 8 MB


@dataclass(frozen=True)
class TensorDifference:
    """A tensor that the two sides don't both have, or not with the same values."""

    name: str
    problem: str


@dataclass(frozen=True)
class TensorComparison:
    """How many tensors were compared, and those that differ."""

    compared: int = 0
    different: tuple[TensorDifference, ...] = ()


def compare_tensors(
    torch: Mapping[str, np.ndarray], paddle: Mapping[str, np.ndarray]
) -> TensorComparison:
    """Compare the tensors of both sides, which are named and laid out alike.

    Values count, not dtypes: a float16 and a float32 of one value are equal, and so are two NaNs.
    """
    names = list(dict.fromkeys((*paddle, *torch)))
    problems = {name: _problem(torch.get(name), paddle.get(name)) for name in names}
    different = (TensorDifference(name, problem) for name, problem in problems.items() if problem)
    return TensorComparison(len(names), tuple(different))


def _problem(torch: np.ndarray | None, paddle: np.ndarray | None) -> str:
    """How a tensor differs, "" where it does not."""
    if torch is None or paddle is None:
        return f"not in {'torch' if torch is None else 'paddle'}'s"
    if torch is paddle:
        return ""
    if torch.shape != paddle.shape:
        return f"shapes differ: torch {list(torch.shape)}, paddle {list(paddle.shape)}"
    return _values(torch, paddle)


def _values(torch: np.ndarray, paddle: np.ndarray) -> str:
    count, largest, one_sided = 0, 0.0, 0
    for a, b in _parts(torch, paddle):
        if np.array_equal(a, b):
            continue
        a, b = a.astype(np.float64), b.astype(np.float64)
        unequal = (a != b) & ~(np.isnan(a) & np.isnan(b))
        finite = np.isfinite(a) & np.isfinite(b)
        count += int(unequal.sum())
        one_sided += int((unequal & ~finite).sum())
        with np.errstate(over="ignore"):
            largest = max(
                largest,
                float(
                    np.abs(np.subtract(a, b, where=finite, out=np.zeros_like(a))).max(initial=0.0)
                ),
            )
    if not count:
        return ""
    problem = f"{count} of {torch.size} values differ"
    if count > one_sided:
        problem += f", by at most {largest:.1e}"
    return f"{problem}; {one_sided} are NaN or infinite on one side" if one_sided else problem


def _parts(torch: np.ndarray, paddle: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Both arrays in pieces along the first axis: views, also where one is transposed."""
    if not torch.ndim:
        torch, paddle = torch.reshape(1), paddle.reshape(1)
    rows = max(1, _VALUES // max(1, torch[:1].size))
    for start in range(0, len(torch), rows):
        yield torch[start : start + rows], paddle[start : start + rows]
