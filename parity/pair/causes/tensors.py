"""How the tensors of a layer differ between the sides, in words."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import ml_dtypes
import numpy as np

Array = np.ndarray
Tensors = Mapping[str, Array]
_GATES = {"lstm": "ifgo", "gru": "rzn"}  # in both frameworks' order, along the first axis
_ROUNDED = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def how_they_differ(torch: Tensors, paddle: Tensors, others: Tensors, kind: str) -> str:
    """What is wrong with PyTorch's tensors, by role; "" where they are equal.

    ``others`` are Paddle's tensors of other layers, by key; all are in Paddle's layout.
    """
    lines = []
    for role in dict.fromkeys((*paddle, *torch)):
        a, b = torch.get(role), paddle.get(role)
        if a is None or b is None:
            lines.append(f"its {role} is {'Paddle' if a is None else 'PyTorch'}'s alone")
        elif not np.array_equal(a, b):
            lines.append(f"PyTorch's {role} {_how(a, b, others, kind)}")
    return "; ".join(lines)


def _how(torch: Array, paddle: Array, others: Tensors, kind: str) -> str:
    if torch.shape != paddle.shape:
        return f"has the shape {list(torch.shape)}, not {list(paddle.shape)}"
    return next(_ways(torch, paddle, others, kind))


def _ways(torch: Array, paddle: Array, others: Tensors, kind: str) -> Iterator[str]:
    if torch.size > 1 and np.ptp(torch) == 0:
        yield f"is {torch.flat[0]:g} everywhere, as before anything is loaded"
    if torch.ndim == 2 and np.array_equal(torch, paddle.T):
        yield "is the right one, not transposed"
    if torch.ndim == 2 and np.array_equal(torch.reshape(torch.shape[::-1]).T, paddle):
        yield "is the right one's memory, reshaped and not transposed"
    if gates := _GATES.get(kind):
        yield from _gates(torch, paddle, gates)
    for key, other in others.items():
        if other.shape == torch.shape and np.array_equal(other, torch):
            yield f"is that of another layer, {key}"
    for axis in range(torch.ndim):
        order = [a for a in range(torch.ndim) if a != axis]
        if _same_slices(torch.transpose(axis, *order), paddle.transpose(axis, *order)):
            yield f"holds the right values in another order along axis {axis}"
    for name, dtype in _ROUNDED.items():
        if np.array_equal(torch, paddle.astype(dtype).astype(torch.dtype)):
            yield f"is rounded to {name}"
    count = int((torch != paddle).sum())
    yield f"differs in {count} of {torch.size} values"


def _gates(torch: Array, paddle: Array, gates: str) -> Iterator[str]:
    if len(torch) % len(gates):
        return
    parts = np.split(paddle, len(gates))
    for order in itertools.permutations(range(len(gates))):
        if np.array_equal(torch, np.concatenate([parts[n] for n in order])):
            yield f"has its gates in the order {', '.join(gates[n] for n in order)}, not {gates}"


def _same_slices(torch: Array, paddle: Array) -> bool:
    """Whether both hold the same slices along the first axis, in any order."""

    def rows(array: Array) -> list[bytes]:
        return sorted(np.ascontiguousarray(row).tobytes() for row in array)

    return len(torch) > 1 and rows(torch) == rows(paddle)
