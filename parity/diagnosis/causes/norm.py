"""Guesses about a batch norm: its four statistics, its epsilon, its mode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, permutations

import numpy as np

from parity.diagnosis import kernels, wiring
from parity.diagnosis.causes.fitted import enough, line_per_channel
from parity.diagnosis.causes.order import match, moved
from parity.diagnosis.causes.weights import port_parameters
from parity.diagnosis.view import ROUNDING, Array, Guess, View, before, layers, relative

ROLES = ("scale", "offset", "mean", "variance")
_EMPTY = {"scale": 1.0, "offset": 0.0, "mean": 0.0, "variance": 1.0}
# What libraries use: Keras 1e-3, keras.applications 1.001e-5, torch and Paddle 1e-5, which
# Paddle keeps as a float32; Caffe's first batch norm 1e-5, TensorFlow's 1e-3, Haiku's 1e-5.
EPSILONS = (1e-5, float(np.float32(1e-5)), 1e-3, 1.001e-5, 2e-5, 1e-4, 1e-6, 1e-8, 1e-12, 0.0)


def _tried(
    view: View, named: Iterable[tuple[str, dict[str, Array]]], within: float | None = None
) -> Iterator[Guess]:
    """The guesses of those statistics that may reproduce the output; no variance is negative."""
    own = view.step.parameters
    for detail, statistics in named:
        variance = statistics.get("variance", own["variance"])
        changed = any(not np.array_equal(own[role], x) for role, x in statistics.items())
        if changed and variance.min() > -view.step.epsilon and view.promising(**statistics):
            yield Guess(detail, view.recompute(**statistics), within)


def permuted(view: View) -> Iterator[Guess]:
    """The four statistics in each other's place."""
    own = view.step.parameters

    def candidates() -> Iterator[tuple[str, dict[str, Array]]]:
        for order in permutations(ROLES):
            pairs = [(role, held) for role, held in zip(ROLES, order, strict=True) if role != held]
            detail = ", ".join(f"{role} holds the {held}" for role, held in pairs)
            yield detail, {role: own[held] for role, held in pairs}

    return _tried(view, candidates())


def missing(view: View) -> Iterator[Guess]:
    """One or more statistics as a layer has them before anything is loaded."""
    count = len(view.step.parameters["mean"])

    def candidates() -> Iterator[tuple[str, dict[str, Array]]]:
        for number in range(1, len(ROLES) + 1):
            for roles in combinations(ROLES, number):
                detail = ", ".join(f"{role} {_EMPTY[role]:g}" for role in roles)
                yield detail, {role: np.full(count, _EMPTY[role]) for role in roles}

    return _tried(view, candidates())


_GROUPS = {
    "all four statistics": ROLES,
    "mean and variance": ("mean", "variance"),
    "scale and offset": ("scale", "offset"),
    **{role: (role,) for role in ROLES},
}


def another_layers(view: View) -> Iterator[Guess]:
    """Statistics of another batch norm of as many channels."""
    count = len(view.step.parameters["mean"])

    def candidates() -> Iterator[tuple[str, dict[str, Array]]]:
        for other in layers(view.case.architecture).values():
            if other.kind != "batch_norm" or other.name == view.layer.name:
                continue
            if other.out_channels == count and other.parameters[0].name in view.case.weights:
                statistics = wiring.step(
                    view.case.architecture, other, view.case.weights, view.case.epsilon
                ).parameters
                for detail, roles in _GROUPS.items():
                    yield f"{detail} of {other.name}", {role: statistics[role] for role in roles}

    return _tried(view, candidates())


def skipped(view: View) -> Iterator[Guess]:
    """The input, unchanged."""
    yield Guess("", view.x)


def batch_statistics(view: View) -> Iterator[Guess]:
    """Mean and biased variance of the batch itself: training mode."""
    whole = before(view.case, view.feed.sources[0], None)
    if whole is not None and whole.ndim == 4:
        statistics = {"mean": whole.mean(axis=(0, 2, 3)), "variance": whole.var(axis=(0, 2, 3))}
        yield Guess(f"of {len(whole)} images", view.recompute(**statistics))


def variance_form(view: View) -> Iterator[Guess]:
    """The variance in another form, or the epsilon in another place."""
    own = view.step.parameters
    epsilon, variance = view.step.epsilon, own["variance"]
    root = np.sqrt(np.maximum(variance, 0))
    with np.errstate(all="ignore"):
        forms = {
            "taken for a standard deviation": variance**2 - epsilon,
            "replaced by a standard deviation": root,
            "replaced by its inverse": 1 / variance,
            "given epsilon after its root, not before": (root + epsilon) ** 2 - epsilon,
        }
    finite = ((detail, {"variance": x}) for detail, x in forms.items() if np.isfinite(x).all())
    return _tried(view, finite, view.rounded_tensors)


def _implied_variance(view: View) -> Array:
    """Variance plus epsilon, (C,), as the port's slopes tell it; NaN where they don't."""
    slope, _ = line_per_channel(view.x, view.given)
    with np.errstate(all="ignore"):
        implied: Array = (view.step.parameters["scale"] / slope) ** 2
    return np.where(np.isfinite(implied), implied, np.nan)


def _with_epsilon(view: View, epsilon: float) -> Array:
    return kernels.batch_norm(view.x, **view.step.parameters, epsilon=epsilon)


def _solve_epsilon(view: View) -> float | None:
    """The epsilon nearest to the port's output: from the smallest variances, then by descent."""
    own = view.step.parameters
    implied = _implied_variance(view) - own["variance"]
    small = np.argsort(own["variance"])[: max(1, len(implied) // 4)]
    if not np.isfinite(implied[small]).any():
        return None
    epsilon, floor = float(np.nanmedian(implied[small])), -float(own["variance"].min())
    for _ in range(8):  # Gauss-Newton on one number
        if epsilon <= floor:
            return None
        output = _with_epsilon(view, epsilon)
        spread = own["variance"] + epsilon
        slope = -0.5 * (output - kernels.per_channel(own["offset"])) / kernels.per_channel(spread)
        if not slope.any():
            return None
        epsilon += float(((view.given - output) * slope).sum() / (slope**2).sum())
    return epsilon if epsilon > floor else None


def epsilon_in_words(epsilon: float) -> str:
    """An epsilon for a sentence, which explains Paddle's."""
    if epsilon == EPSILONS[1]:
        return f"{epsilon!r} (1e-05 kept as a float32, as Paddle does)"
    return f"{epsilon:.4g}"


def wrong_epsilon(view: View) -> Iterator[Guess]:
    """Another epsilon: one that libraries use where it explains as much, else the solved one."""
    if not enough(view) or (solved := _solve_epsilon(view)) is None:
        return
    residuals = {e: relative(_with_epsilon(view, e), view.given) for e in EPSILONS}
    known = min(residuals, key=lambda e: residuals[e])
    best = relative(_with_epsilon(view, solved), view.given)
    noise = ROUNDING[view.case.precision] / 1000
    epsilon = known if residuals[known] <= 2 * best + noise else solved
    if epsilon != view.step.epsilon:
        yield Guess(epsilon_in_words(epsilon), _with_epsilon(view, epsilon))


def variance_scaled(view: View) -> Iterator[Guess]:
    """The variance, or mean and variance, times one number."""
    if not enough(view):
        return
    own = view.step.parameters
    with np.errstate(all="ignore"):
        ratios = (_implied_variance(view) - view.step.epsilon) / own["variance"]
    if not np.isfinite(ratios).any() or (factor := float(np.nanmedian(ratios))) <= 0:
        return
    whole = before(view.case, view.feed.sources[0], None)
    count = view.x[:, 0].size if whole is None else whole[:, 0].size
    unbiased = np.isclose(factor, [count / (count - 1), (count - 1) / count], rtol=1e-6).any()
    note = f" (n/(n-1) for n = {count}: biased against unbiased)" if unbiased else ""
    variance = {"variance": factor * own["variance"]}
    both = {**variance, "mean": factor * own["mean"]}
    named = (
        (f"variance times {factor:.7g}{note}", variance),
        (f"mean and variance times {factor:.7g} (Caffe stores both times a factor)", both),
    )
    yield from _tried(view, named, view.rounded_tensors)


def channels_permuted(view: View) -> Iterator[Guess]:
    """All four statistics with their channels in another order."""
    if not enough(view):
        return
    own = view.step.parameters
    slope = own["scale"] / np.sqrt(own["variance"] + view.step.epsilon)
    lines = np.stack([slope, own["offset"] - slope * own["mean"]], axis=1)
    order = match(np.stack(line_per_channel(view.x, view.given), axis=1), lines)
    if order is not None:
        yield Guess(moved(order), view.recompute(**{role: own[role][order] for role in ROLES}))


def other_statistics(view: View) -> Iterator[Guess]:
    """A batch norm all the same, with a slope and an offset of its own in some channels."""
    if not enough(view) or port_parameters(view) is not None:
        return
    slope, offset = line_per_channel(view.x, view.given)
    output = kernels.per_channel(slope) * view.x + kernels.per_channel(offset)
    error = np.abs(view.given - view.expected).max(axis=(0, 2, 3))
    at = np.flatnonzero(error > 1e-3 * error.max())
    named = ", ".join(map(str, at[:8])) + (", …" if len(at) > 8 else "")
    yield Guess(f"{len(at)} of {len(slope)} channels ({named})", output)
