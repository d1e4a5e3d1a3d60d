"""Statistics over raw samples: pure functions from arrays to numbers, in the samples' unit.

A cell's samples come as one array per process, because processes differ among themselves by more
than a process' samples do: one process, however long, says little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np

Processes = Sequence[np.ndarray[Any, Any]]

MIN_PROCESSES = 5  # per side of a ratio: fewer say nothing of the spread between processes
PERCENTILES = (90, 95, 99)
# Samples expected above a percentile that is quoted. With 3 of them, thus n >= 3 / (1 - p), the
# largest sample is above the true percentile with at least 95 %, 1 - p^n: Wilks (1941),
# "Determination of sample sizes for setting tolerance limits". So 30, 60 and 300 samples.
MIN_ABOVE = 3
REPLICATES = 1000  # of a bootstrap: Efron & Tibshirani (1993), chapter 13, for percentile intervals
CONFIDENCE = 0.95  # of every interval
UNSTABLE = 0.10  # relative standard deviation, and IQR over median
EXTREME = 0.50  # distance of the smallest or largest sample from the median, over the median
LAUNCH_BOUND = 0.8  # enqueue time over device time


@dataclass(frozen=True)
class Summary:
    """A cell in numbers. Times in the samples' unit, spreads as shares of the median."""

    processes: int
    samples: int
    median: float
    p90: float | None  # None, as the next two, where there are too few samples
    p95: float | None
    p99: float | None
    mean: float
    minimum: float
    maximum: float
    deviation: float  # standard deviation over mean
    spread: float  # interquartile range over median, all samples
    between: float | None  # range of the processes' medians over the median; None for one process


def needed(percent: int) -> int:
    """How many samples a percentile needs to be quoted: MIN_ABOVE / (1 - p)."""
    return math.ceil(100 * MIN_ABOVE / (100 - percent))


def percentiles(pooled: np.ndarray[Any, Any]) -> list[float | None]:
    """Those of PERCENTILES; None for each that ``pooled`` has too few samples for."""
    found = np.percentile(pooled, PERCENTILES)
    wanted = zip(PERCENTILES, found, strict=True)
    return [float(at) if len(pooled) >= needed(percent) else None for percent, at in wanted]


def summarise(processes: Processes) -> Summary:
    """Pool the samples of a cell's processes. Raises ValueError for none and for one not > 0."""
    if not len(processes) or any(not len(samples) for samples in processes):
        raise ValueError("a cell needs at least one process, and each at least one sample")
    pooled = np.concatenate([np.asarray(samples, dtype=np.float64) for samples in processes])
    if not np.all(np.isfinite(pooled)) or pooled.min() <= 0:
        raise ValueError("a sample is not a positive number: the clock stood still or went back")
    q1, median, q3 = (float(value) for value in np.percentile(pooled, [25, 50, 75]))
    p90, p95, p99 = percentiles(pooled)
    medians = [float(np.median(samples)) for samples in processes]
    mean = float(pooled.mean())
    return Summary(
        processes=len(processes),
        samples=len(pooled),
        median=median,
        p90=p90,
        p95=p95,
        p99=p99,
        mean=mean,
        minimum=float(pooled.min()),
        maximum=float(pooled.max()),
        deviation=float(pooled.std()) / mean,
        spread=(q3 - q1) / median,
        between=(max(medians) - min(medians)) / median if len(medians) > 1 else None,
    )


def contradictions(summary: Summary) -> list[str]:
    """What can't be true of any set of samples; published tables of the field fail this."""
    points = {
        "minimum": summary.minimum,
        "median": summary.median,
        "p90": summary.p90,
        "p95": summary.p95,
        "p99": summary.p99,
        "maximum": summary.maximum,
    }
    known = [(name, value) for name, value in points.items() if value is not None]
    claims = [
        f"the {low} is above the {high}" for (low, a), (high, b) in pairwise(known) if not a <= b
    ]
    slack = 1 + 1e-12  # of the mean's rounding
    if not summary.mean <= summary.maximum * slack:
        claims.append("the mean is above the maximum")
    if not summary.minimum <= summary.mean * slack:
        claims.append("the mean is below the minimum")
    return claims


def warnings(summary: Summary) -> list[str]:
    """Why the numbers may not be stable; empty where nothing speaks against them."""
    distance = max(summary.maximum - summary.median, summary.median - summary.minimum)
    measures = (
        ("standard deviation", summary.deviation, UNSTABLE, "of the mean"),
        ("IQR", summary.spread, UNSTABLE, "of the median"),
        ("an extreme", distance / summary.median, EXTREME, "from the median"),
    )
    return [f"{name} {value:.0%} {of}" for name, value, limit, of in measures if value >= limit]


def launch_bound(enqueue: Processes, device: Processes) -> bool:
    """Whether the host needs most of the time to enqueue, so that a faster device gains little."""
    return pooled_median(enqueue) > LAUNCH_BOUND * pooled_median(device)


def pooled_median(processes: Processes) -> float:
    """Median of all samples of all processes."""
    return float(np.median(np.concatenate(processes)))


def typical(processes: Processes) -> float:
    """The geometric mean of the processes' medians: the one estimator of a time that is shown.

    That of ``ratio`` too, so that the quotient of two times in a table is their ratio; one process
    counts as much as another, however many samples it has. Never outside of the medians.
    """
    medians = [float(np.median(samples)) for samples in processes]
    mean = math.exp(float(_log_medians(processes).mean()))
    return min(max(mean, min(medians)), max(medians))


@dataclass(frozen=True)
class Ratio:
    """Numerator's time over denominator's, with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """ "no difference" where the interval spans 1, else what the numerator is."""
        if self.low <= 1 <= self.high:
            return "no difference"
        return "slower" if self.value > 1 else "faster"


def resampled_median(processes: Processes, random: np.random.Generator) -> float:
    """Median of one bootstrap replicate: processes are drawn first, then samples of each."""
    drawn = random.integers(len(processes), size=len(processes))
    return pooled_median([random.choice(processes[i], size=len(processes[i])) for i in drawn])


def ratio(numerator: Processes, denominator: Processes, paired: bool = False) -> Ratio | None:
    """Ratio of two ``typical`` times, Student's t interval on logarithms of process medians.

    Processes are the units (Kalibera & Jones 2013, "Rigorous benchmarking in reasonable time"):
    what samples add within one is in the spread of the medians already. ``paired``: the i-th
    processes of both sides ran in the same round, so the drift that they share cancels; else
    Welch's interval, which is good for two runs, and careful where a drift is shared.

    Not a bootstrap over processes: of a mean of five it is a third too narrow and calls a
    difference in 14 of 100 equal pairs (narrowness bias: Hesterberg 2015, "What teachers should
    know about the bootstrap"). Of a median it calls 4, but where processes differ by 2 % and both
    sides drift by 5 %, it finds six in ten slowdowns of 10 %, Welch eight, and pairs all of them.

    None where a side has fewer than MIN_PROCESSES processes: the ratio is withheld. Raises
    ValueError for pairs of unequal number.
    """
    if min(len(numerator), len(denominator)) < MIN_PROCESSES:
        return None
    top, bottom = _log_medians(numerator), _log_medians(denominator)
    if paired and len(top) != len(bottom):
        raise ValueError(f"{len(top)} processes can't be paired with {len(bottom)}")
    value = typical(numerator) / typical(denominator)
    half = _paired(top - bottom) if paired else _welch(top, bottom)
    return Ratio(value, value * math.exp(-half), value * math.exp(half))


def _log_medians(processes: Processes) -> np.ndarray[Any, Any]:
    return np.log([float(np.median(samples)) for samples in processes])


def _paired(differences: np.ndarray[Any, Any]) -> float:
    """Half the interval of a mean."""
    count = len(differences)
    return student(count - 1) * float(differences.std(ddof=1)) / math.sqrt(count)


def _welch(top: np.ndarray[Any, Any], bottom: np.ndarray[Any, Any]) -> float:
    """Half the interval of a difference of means: Welch (1947), of unequal variances."""
    variances = [float(side.var(ddof=1)) / len(side) for side in (top, bottom)]
    total = sum(variances)
    if not total:
        return 0.0
    shares = [
        (v / total) ** 2 / (len(s) - 1) for v, s in zip(variances, (top, bottom), strict=True)
    ]
    return student(1 / sum(shares)) * math.sqrt(total)


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
