"""The judge of a port that differs: it recomputes the first layer over tolerance.

All layers before that one are equal, so its input is known, and NumPy can compute what its output
should be. A cause is named only if the layer, recomputed with that mistake, gives the port's output
to rounding; where no hypothesis does, the answer is "unknown".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from parity.diagnosis.causes.hypothesis import ROUNDED, Hypothesis
from parity.diagnosis.causes.norm import EPSILONS, epsilon_in_words
from parity.diagnosis.causes.table import HYPOTHESES
from parity.diagnosis.causes.weights import port_parameters
from parity.diagnosis.kernels import batch_norm
from parity.diagnosis.view import (
    ROUNDING,
    Case,
    View,
    layers,
    look_up,
    relative,
    take,
    view_of,
    worst,
)

UNKNOWN = "unknown"
_PART = 10  # an explanation leaves at most a tenth of the difference


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a layer of the port, and how well that is shown.

    Both figures are relative L2 against the port's output; infinite where shapes differ.
    """

    layer: str
    cause: str  # a key of HYPOTHESES, or: unknown, accumulated, not_finite, no_output
    sentence: str
    difference: float = math.nan  # of the layer recomputed with nothing changed
    residual: float = math.nan  # of the layer recomputed with the cause
    also: tuple[str, ...] = ()  # other causes that reproduce the output as well


@dataclass(frozen=True)
class _Match:
    """A hypothesis that reproduces the port's output."""

    row: Hypothesis
    details: tuple[str, ...]  # more than one where it does so in several ways
    residual: float


def _match(view: View, row: Hypothesis) -> _Match | None:
    residuals: dict[str, float] = {}  # of the guesses that reproduce the output
    for guess in row.guesses(view):
        residual = relative(guess.output, view.given)
        if residual <= (view.rounding if guess.within is None else guess.within):
            residuals[guess.detail] = residual
    if not residuals:
        return None
    best = min(residuals, key=lambda detail: residuals[detail])
    details = (best,) if row.tier == ROUNDED else tuple(residuals)
    return _Match(row, details, residuals[best])


def _matches(view: View) -> list[_Match]:
    """The hypotheses of the first tier that has any which reproduce the output."""
    for tier in range(ROUNDED + 1):
        rows = (r for r in HYPOTHESES if r.tier == tier and view.layer.kind in r.kinds)
        if matches := [match for row in rows if (match := _match(view, row))]:
            return matches
    return []


def _where(view: View, row: Hypothesis) -> str:
    """Whether the mistake is in the port's file or in its code, where the file is known."""
    known, own = port_parameters(view), view.step.parameters
    if not row.of_weights or known is None:
        return ""
    same = all(np.array_equal(known[role], own[role]) for role in own)
    return (
        ". Its checkpoint holds the right tensors: the mistake is in the port's loading or code"
        if same
        else ". Its checkpoint holds other tensors than the reference's: the mistake is there"
    )


def _named(view: View, matches: Sequence[_Match]) -> Diagnosis:
    first, *others = matches
    others = [match for match in others if match.row.cause not in first.row.covers]
    detail = " or ".join(first.details[:3])
    sentence = first.row.sentence.format(layer=view.layer.name, detail=detail)
    sentence += _where(view, first.row)
    if others:
        sentence += f". Also explained by: {', '.join(match.row.cause for match in others)}"
    return Diagnosis(
        view.layer.name,
        first.row.cause,
        sentence,
        view.difference,
        first.residual,
        tuple(dict.fromkeys(match.row.cause for match in others)),
    )


def _unknown(view: View) -> Diagnosis:
    if view.given.shape != view.expected.shape:
        what = f"its shape is {list(view.given.shape)}, not {list(view.expected.shape)}"
    else:
        what = f"it is {view.difference:.1e} (relative L2) from what its input should give"
    sentence = (
        f"{view.layer.name}: the cause is unknown. The port's output is reproduced by none of the "
        f"hypotheses; {what}. Compare this layer's parameters and its code on both sides"
    )
    return Diagnosis(view.layer.name, UNKNOWN, sentence, view.difference)


def _not_finite(view: View) -> Diagnosis | None:
    """NaN and infinity are reproduced by nothing, but may stand in the port's checkpoint."""
    bad = ~np.isfinite(view.given)
    if not bad.any():
        return None
    channels = np.flatnonzero(bad.any(axis=tuple(a for a in range(bad.ndim) if a != 1)))
    named = ", ".join(map(str, channels[:8])) + (", …" if len(channels) > 8 else "")
    sentence = (
        f"{view.layer.name}: {int(bad.sum())} of {bad.size} values of the port's output are NaN or "
        f"infinite, in {len(channels)} channels ({named})"
    )
    names = {row.role: row.name for row in view.layer.parameters}
    known = port_parameters(view) or {}
    held = [names[role] for role, x in known.items() if not np.isfinite(x).all()]
    sentence += f": so are values of its {', '.join(held)}; port them again" if held else (
        ", though what feeds it is finite: look for an overflow, a division by zero or a damaged "
        "weight there"
    )  # fmt: skip
    return Diagnosis(view.layer.name, "not_finite", sentence)


def _norms(case: Case, at: Sequence[int]) -> Iterator[View]:
    """The batch norms up to the first output over tolerance."""
    for layer in layers(case.architecture).values():
        if layer.kind == "batch_norm" and (view := view_of(case, layer.name, at)):
            yield view
        if layer.name == case.first:
            return


def _common_epsilon(case: Case, at: Sequence[int]) -> Diagnosis | None:
    """One epsilon that explains every batch norm, each of which is within tolerance by itself."""
    tried = {e: 0.0 for e in EPSILONS if e != case.epsilon}
    plain, count = 0.0, 0
    for view in _norms(case, at):
        count += 1
        plain = max(plain, view.difference)
        for epsilon in tried:
            output = batch_norm(view.x, **view.step.parameters, epsilon=epsilon)
            tried[epsilon] = max(tried[epsilon], relative(output, view.given))
    if not count:
        return None
    epsilon = min(tried, key=lambda e: tried[e])
    if not tried[epsilon] <= plain / _PART:
        return None
    sentence = (
        f"{case.first}: the port's {count} batch norms up to here have epsilon "
        f"{epsilon_in_words(epsilon)}, the reference's {case.epsilon!r}; each differs within "
        "tolerance, their sum doesn't: set the reference's"
    )
    return Diagnosis(case.first, "wrong_epsilon", sentence, plain, tried[epsilon])


def _accumulated(view: View) -> Diagnosis:
    sentence = (
        f"{view.layer.name}: the layer is right: from the port's own input it gives the port's "
        f"output to {view.difference:.1e}. The difference came in with its input, from layers "
        "that are each within tolerance: compare them one by one (their own errors)"
    )
    return Diagnosis(view.layer.name, "accumulated", sentence, view.difference)


def _equal(view: View) -> Diagnosis:
    sentence = (
        f"{view.layer.name}: the cause is unknown: the port's values are exactly what its input "
        "should give, so what differs is their dtype"
    )
    return Diagnosis(view.layer.name, UNKNOWN, sentence, 0.0)


def _is_accumulated(view: View) -> bool:
    """The layer's own difference is rounding, and a small part of the whole."""
    reference = look_up(view.case.reference, view.layer.name)
    if not view.feed.sources or reference is None:
        return False
    total = relative(take(reference, view.at), view.given)
    return total > 0 and view.difference <= min(ROUNDING[view.case.precision], total / _PART)


def diagnose(case: Case) -> Diagnosis:
    """Name the cause of ``case.first``, or say that it is unknown.

    Raises KeyError for an architecture, layer or precision that does not exist, and for weights
    that lack one of the layer's tensors.
    """
    layers(case.architecture)[case.first], ROUNDING[case.precision]
    at = worst(case)
    view = view_of(case, case.first, at)
    if view is None:
        side = "the port" if look_up(case.port, case.first) is None else "either side's input"
        sentence = f"{case.first}: the cause is unknown: no output from {side}; record it as well"
        return Diagnosis(case.first, "no_output", sentence)
    if (broken := _not_finite(view)) is not None:
        return broken
    if _is_accumulated(view):
        return _common_epsilon(case, at) or _accumulated(view)
    if view.difference == 0:
        return _equal(view)
    matches = _matches(view)
    return _named(view, matches) if matches else _unknown(view)
