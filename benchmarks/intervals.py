"""Intervals with 95 % confidence: of a median, by Student's t, and of a share. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist

import numpy as np

CONFIDENCE = 0.95  # of every interval


@cache
def median_rank(count: int) -> int:
    """The j for which the j-th smallest and j-th largest of ``count`` samples hold the median.

    They enclose the distribution's median with at least CONFIDENCE, whatever the distribution:
    David & Nagaraja, Order Statistics (2003), section 7.1; the largest j for which a binomial
    (count, 1/2) is below j with at most half of the rest. 0 where ``count`` is too small, below 6.
    """
    rest, rank, below, term = round((1 - CONFIDENCE) / 2 * 1000), 0, 0, 1
    while 1000 * (below + term) <= rest << count:  # integers: 2^count is beyond a float
        below, rank = below + term, rank + 1
        term = term * (count - rank + 1) // rank
    return rank


def median_noise(times: Sequence[float]) -> float:
    """Half the width of the median's interval over the median; infinity for too few samples.

    It takes samples to be independent, which those of one process are not: good enough to stop
    by, and no statement about a cell.
    """
    rank, ordered = median_rank(len(times)), sorted(times)
    if not rank:
        return math.inf
    return (ordered[-rank] - ordered[rank - 1]) / 2 / float(np.median(ordered))


def student(freedom: float) -> float:
    """The two-sided CONFIDENCE point of Student's t, from 4 degrees of freedom on.

    Abramowitz & Stegun (1964), 26.7.5, to the fourth term: within 0.001 of their table 26.10.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))


def wilson(successes: int, count: int) -> tuple[float, float]:
    """Interval of a share, of ``successes`` among ``count`` > 0 independent trials: Wilson (1927).

    Unlike the textbook's it stays within 0 and 1 and has a width at either end.
    """
    z2 = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) ** 2
    share = successes / count
    centre = share + z2 / (2 * count)
    half = math.sqrt(z2 * share * (1 - share) / count + (z2 / (2 * count)) ** 2)
    scale = 1 + z2 / count
    low, high = (centre - half) / scale, (centre + half) / scale
    # At either end it is the share itself, but for rounding.
    return max(0.0, min(share, low)), min(1.0, max(share, high))
