"""Statistics over raw samples: pure functions from arrays to numbers, in the samples' unit.

A cell's samples come as one array per process, because processes differ among themselves by more
than a process' samples do: one process, however long, says little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Processes = Sequence[np.ndarray[Any, Any]]

MIN_PROCESSES = 5  # per side of a ratio: fewer say nothing of the spread between processes
MIN_FOR_P90 = 10  # samples: below that no sample need lie above the 90th percentile
REPLICATES = 1000  # of a bootstrap: Efron & Tibshirani (1993), chapter 13, for percentile intervals
UNSTABLE = 0.10  # relative standard deviation, and IQR over median
EXTREME = 0.50  # distance of the smallest or largest sample from the median, over the median
LAUNCH_BOUND = 0.8  # enqueue time over device time


@dataclass(frozen=True)
class Summary:
    """A cell in numbers. Times in the samples' unit, spreads as shares of the median."""

    processes: int
    samples: int
    median: float
    p90: float | None  # None where there are too few samples
    mean: float
    minimum: float
    maximum: float
    deviation: float  # standard deviation over mean
    spread: float  # interquartile range over median, all samples
    between: float | None  # range of the processes' medians over the median; None for one process


def summarise(processes: Processes) -> Summary:
    """Pool the samples of a cell's processes. Raises ValueError for none and for one not > 0."""
    if not len(processes) or any(not len(samples) for samples in processes):
        raise ValueError("a cell needs at least one process, and each at least one sample")
    pooled = np.concatenate([np.asarray(samples, dtype=np.float64) for samples in processes])
    if not np.all(np.isfinite(pooled)) or pooled.min() <= 0:
        raise ValueError("a sample is not a positive number: the clock stood still or went back")
    q1, median, q3, p90 = (float(value) for value in np.percentile(pooled, [25, 50, 75, 90]))
    medians = [float(np.median(samples)) for samples in processes]
    mean = float(pooled.mean())
    return Summary(
        processes=len(processes),
        samples=len(pooled),
        median=median,
        p90=p90 if len(pooled) >= MIN_FOR_P90 else None,
        mean=mean,
        minimum=float(pooled.min()),
        maximum=float(pooled.max()),
        deviation=float(pooled.std()) / mean,
        spread=(q3 - q1) / median,
        between=(max(medians) - min(medians)) / median if len(medians) > 1 else None,
    )


def contradictions(summary: Summary) -> list[str]:
    """What can't be true of any set of samples; published tables of the field fail this."""
    p90 = summary.median if summary.p90 is None else summary.p90
    slack = 1 + 1e-12  # of the mean's rounding
    claims = {
        "the minimum is above the median": summary.minimum > summary.median,
        "the median is above p90": summary.median > p90,
        "p90 is above the maximum": p90 > summary.maximum,
        "the mean is above the maximum": summary.mean > summary.maximum * slack,
        "the mean is below the minimum": summary.mean * slack < summary.minimum,
    }
    return [claim for claim, holds in claims.items() if holds]


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


@dataclass(frozen=True)
class Ratio:
    """Numerator's median over denominator's, with its 95 % interval."""

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


def ratio(numerator: Processes, denominator: Processes, seed: int = 0) -> Ratio | None:
    """Ratio of medians, with a hierarchical bootstrap's percentile interval.

    None where a side has fewer than MIN_PROCESSES processes: the ratio is withheld.
    """
    if min(len(numerator), len(denominator)) < MIN_PROCESSES:
        return None
    random = np.random.default_rng(seed)
    replicates = [
        resampled_median(numerator, random) / resampled_median(denominator, random)
        for _ in range(REPLICATES)
    ]
    low, high = (float(value) for value in np.percentile(replicates, [2.5, 97.5]))
    return Ratio(pooled_median(numerator) / pooled_median(denominator), low, high)
