"""The hypotheses, one row each: a name, what to do, and a function that says if it explains.

Each is checked on all the numbers of a tensor, and the first that fits is named. What fits none is
left unexplained: a wrong name would cost more than none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from weight_port.doctor import channels, layout, norms, values
from weight_port.doctor.case import Case, Tensor


@dataclass(frozen=True)
class Finding:
    """A cause, what to do about it, and the file's names of the tensors that have it."""

    name: str
    remedy: str
    keys: tuple[str, ...] = ()


class Hypothesis(NamedTuple):
    """What may have happened to a tensor."""

    name: str
    remedy: str
    explains: Callable[[Case, Tensor], bool]


_EXCHANGE = "exchange them"
_TURN = "turn the axes back"
_AGAIN = "get the file again, or make it again from its source"
TABLE = (
    # Of the norms before all others: what is left of them is constant, and fits much.
    Hypothesis("batch norm folded", "it is in the convolution: the norm does nothing any more",
               norms.of_folded),
    Hypothesis("mean and variance exchanged", _EXCHANGE, norms.exchanged("mean", "variance")),
    Hypothesis("scale and offset exchanged", _EXCHANGE, norms.exchanged("scale", "offset")),
    Hypothesis("scale and variance exchanged", _EXCHANGE, norms.exchanged("scale", "variance")),
    Hypothesis("offset and mean exchanged", _EXCHANGE, norms.exchanged("offset", "mean")),
    Hypothesis("NaN throughout", _AGAIN, values.not_numbers),
    Hypothesis("zeros in place of numbers", "they were never written or loaded; " + _AGAIN,
               values.zeros),
    Hypothesis("linear weight transposed", "transpose it", layout.transposed),
    Hypothesis("BGR for RGB", "reverse the input channels of the first convolution", channels.bgr),
    Hypothesis("kernels turned by 180 degrees", "turn them back", layout.turned),
    Hypothesis("kernels' height and width exchanged", _TURN, layout.sides_exchanged),
    Hypothesis("input and output channels exchanged", _TURN, layout.channels_exchanged),
    Hypothesis(
        "the same numbers in another memory order",
        "make the arrays C-contiguous (numpy.ascontiguousarray) and write the file again; "
        "safetensors 0.8.0 writes others so",
        layout.memory_order,
    ),
    Hypothesis("bytes in the other order", "read them as big-endian", layout.bytes_exchanged),
    Hypothesis("cut short: right at first, then zeros", _AGAIN, layout.cut_short),
    Hypothesis("shifted by some elements", "its offsets are wrong; " + _AGAIN, layout.shifted),
    Hypothesis("float16 overflow", "numbers above 65504 became infinite; save it in float32",
               values.overflow),
    Hypothesis("rounded to float16", "nothing, where that is precise enough", values.F16),
    Hypothesis("rounded to bfloat16", "nothing, where that is precise enough", values.BF16),
    Hypothesis("standard deviation for variance", "square it", norms.deviation),
    Hypothesis("inverse deviation for variance", "invert and square it", norms.inverse),
    Hypothesis("epsilon added to the variance", "subtract it", norms.epsilon_added),
    Hypothesis("biased for unbiased variance",
               "nothing: torch keeps n / (n - 1) times what Paddle keeps", norms.biased),
    Hypothesis("negated", "change the signs", values.negated),
    Hypothesis("signs lost", _AGAIN, values.magnitudes),
    Hypothesis("batch norm folded twice", "take the weights before they were folded",
               norms.folded_twice),
    Hypothesis("batch norm folded, and still there", "it would be applied twice: leave it out",
               norms.folded_and_kept),
    Hypothesis("batch norm folded", "it is in the convolution: the norm does nothing any more",
               norms.folded),
    Hypothesis("classes permuted", "put the classes into the other order", channels.classes),
    Hypothesis("another layer's tensor", "names were mixed up: compare the two files' order",
               channels.elsewhere),
    Hypothesis("multiplied by one number", "divide by it", values.scaled),
)  # fmt: skip


class Diagnosis(NamedTuple):
    """What was found, and the tensors that differ without a cause that is known."""

    findings: tuple[Finding, ...]
    unexplained: tuple[str, ...]


def diagnose(case: Case) -> Diagnosis:
    """The cause of every tensor that differs from the reference's.

    Where several fit, as of a square one, that which explains the most tensors is named.
    """
    causes: dict[Hypothesis, list[Tensor]] = {}
    unexplained = []
    for tensor in case.damaged.values():
        row = next((row for row in TABLE if _explains(row, case, tensor)), None)
        if row is None:
            unexplained.append(tensor.key)
        else:
            causes.setdefault(row, []).append(tensor)
        if tensor.given.ndim > 1:  # those of a norm are small, and looked at for its convolution
            tensor.forget()
    _gather(case, causes)
    keys: dict[tuple[str, str], list[str]] = {}
    for row, tensors in causes.items():
        keys.setdefault((row.name, row.remedy), []).extend(tensor.key for tensor in tensors)
    findings = tuple(Finding(*words, tuple(listed)) for words, listed in keys.items() if listed)
    return Diagnosis(findings, tuple(unexplained))


def _explains(row: Hypothesis, case: Case, tensor: Tensor) -> bool:
    with np.errstate(all="ignore"):  # whatever the file has is computed with
        return row.explains(case, tensor)


def _gather(case: Case, causes: dict[Hypothesis, list[Tensor]]) -> None:
    """Give what a rarer cause explains to the most frequent one, where that explains it too."""
    if len(causes) < 2:
        return
    most = max(causes, key=lambda row: len(causes[row]))
    for row, tensors in causes.items():
        if row is not most and len(tensors) < len(causes[most]):
            moved = [tensor for tensor in tensors if _explains(most, case, tensor)]
            causes[most] += moved
            causes[row] = [
                tensor for tensor in tensors if all(tensor is not other for other in moved)
            ]
