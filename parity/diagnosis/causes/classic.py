"""Guesses about what only the networks before the ResNets have: local response normalisation,
joined branches, dropout."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from parity.diagnosis import kernels
from parity.diagnosis.view import Guess, View, layers
from parity.diagnosis.wiring import compute
from weight_port.arch.classic_steps import LOCAL_ALPHA
from weight_port.arch.inception import BRANCHES


def local_norm(view: View) -> Iterator[Guess]:
    """Other constants, or no normalisation at all."""
    bias = view.step.local_bias
    forms = {
        "doesn't normalise": None,
        "takes alpha for the factor of the window's mean, where it is that of its sum": (0.2, bias),
        "takes alpha for the factor of the window's sum, where it is that of its mean": (5.0, bias),
    }
    forms |= {f"adds {k:g}, not {bias:g}": (1.0, k) for k in (1.0, 2.0) if k != bias}
    for detail, form in forms.items():
        if form is None:
            yield Guess(detail, view.x)
        else:
            alpha, k = form
            yield Guess(detail, kernels.local_norm(view.x, alpha=alpha * LOCAL_ALPHA, bias=k))


def joined_otherwise(view: View) -> Iterator[Guess]:
    """The branches of an inception block in another order."""
    for order in permutations(range(len(BRANCHES))):
        if list(order) != sorted(order):
            detail = ", ".join(BRANCHES[i] for i in order)
            yield Guess(detail, np.concatenate([view.inputs[i] for i in order], axis=1))


def dropout_scales(view: View) -> Iterator[Guess]:
    """Dropout that scales in evaluation (Paddle's downscale_in_infer) or drops nothing twice."""
    source = layers(view.case.architecture).get(view.feed.sources[0])
    share = 1 - source.dropout if source else 1.0
    if share < 1:
        for detail, factor in ((f"multiplies by {share:g}", share), ("divides", 1 / share)):
            yield Guess(detail, compute(view.step, (factor * view.x,)))


def mean_for_maximum(view: View) -> Iterator[Guess]:
    """The largest value of a window instead of its mean."""
    layer = view.layer
    ends = (layer.pad, layer.pad)
    yield Guess("", kernels.max_pool(view.x, layer.kernel, layer.stride, ends, layer.ceil))
