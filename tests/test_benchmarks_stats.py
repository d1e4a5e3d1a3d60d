"""The statistics of benchmarks: properties over any samples, and cases that must be noticed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import stats

TIMES = st.lists(st.integers(1, 10**12), min_size=1, max_size=30).map(np.array)
PROCESSES = st.lists(TIMES, min_size=1, max_size=6)
STEADY = [np.full(10, 100), np.full(10, 100)]


@given(PROCESSES)
def test_any_samples_give_a_summary_without_contradiction(processes):
    summary = stats.summarise(processes)
    assert stats.contradictions(summary) == []
    assert summary.samples == sum(map(len, processes))
    assert summary.minimum <= summary.median <= summary.maximum
    assert summary.spread >= 0
    assert (summary.p90 is None) == (summary.samples < stats.MIN_FOR_P90)
    assert (summary.between is None) == (len(processes) == 1)


@given(PROCESSES, st.permutations(range(6)))
def test_the_order_of_processes_does_not_matter(processes, order):
    shuffled = [processes[i] for i in order if i < len(processes)]
    ours, theirs = stats.summarise(processes), stats.summarise(shuffled)
    assert replace(ours, mean=0, deviation=0) == replace(theirs, mean=0, deviation=0)
    assert ours.mean == pytest.approx(theirs.mean)


@given(PROCESSES, st.sampled_from([2, 4, 1024]))
def test_spreads_do_not_depend_on_the_unit(processes, factor):
    ours, scaled = stats.summarise(processes), stats.summarise([p * factor for p in processes])
    assert scaled.median == ours.median * factor
    assert (scaled.spread, scaled.between) == (ours.spread, ours.between)
    assert scaled.deviation == pytest.approx(ours.deviation)


def test_a_summary_against_numbers_worked_out_by_hand():
    summary = stats.summarise([np.array([10, 20, 30, 40, 50]), np.array([60, 70, 80, 90, 100])])
    assert (summary.median, summary.p90, summary.mean) == (55, 91, 55)
    assert summary.spread == pytest.approx((77.5 - 32.5) / 55)
    assert summary.between == pytest.approx((80 - 30) / 55)


@pytest.mark.parametrize(
    "processes",
    [
        [],
        [np.array([])],
        [np.array([1, 2]), np.array([])],
        [np.array([0, 1])],
        [np.array([np.nan])],
    ],
    ids=["no process", "no sample", "one process without", "clock stood still", "nan"],
)
def test_what_is_no_set_of_samples_is_refused(processes):
    with pytest.raises(ValueError, match=r"process|clock"):
        stats.summarise(processes)


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        ({"median": 101.0}, "the median is above p90"),
        ({"p90": 101.0}, "p90 is above the maximum"),
        ({"mean": 101.0}, "the mean is above the maximum"),
        ({"mean": 99.0}, "the mean is below the minimum"),
        ({"minimum": 101.0}, "the minimum is above the median"),
    ],
)
def test_an_impossible_summary_is_named(change, claim):
    assert claim in stats.contradictions(replace(stats.summarise(STEADY), **change))


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ([100] * 18 + [150] * 2, "standard deviation"),
        ([95] * 9 + [100] * 2 + [105] * 9, "IQR"),
        ([100] * 99 + [150], "an extreme"),
        ([100] * 99 + [50], "an extreme"),
    ],
)
def test_unstable_samples_are_warned_of(samples, said):
    assert any(warning.startswith(said) for warning in stats.warnings(summary_of(samples)))


def summary_of(samples):
    return stats.summarise([np.array(samples)])


def test_steady_samples_are_not_warned_of():
    assert stats.warnings(summary_of([97, 98, 99, 100, 101, 102, 103])) == []


def test_launch_bound_is_when_enqueueing_takes_over_four_fifths():
    device = [np.array([100, 100, 100])]
    assert stats.launch_bound([np.array([81, 81, 81])], device)
    assert not stats.launch_bound([np.array([80, 80, 80])], device)


def noisy(seed, median, processes=5, samples=20):
    """Processes that differ by 3 % among themselves and by 1 % within."""
    random = np.random.default_rng(seed)
    centres = median * (1 + 0.03 * random.standard_normal(processes))
    return [centre * (1 + 0.01 * random.standard_normal(samples)) for centre in centres]


def test_a_ratio_of_fewer_than_five_processes_is_withheld():
    enough, few = noisy(0, 100), noisy(1, 100, processes=4)
    assert stats.ratio(enough, few) is None
    assert stats.ratio(few, enough) is None
    assert stats.ratio(enough, enough) is not None


def test_equal_samples_are_no_difference():
    same = stats.ratio(noisy(0, 100), noisy(0, 100))
    assert same.value == 1
    assert same.verdict == "no difference"


def test_a_planted_difference_is_found_with_its_sign_and_size():
    slower = stats.ratio(noisy(0, 130), noisy(1, 100))
    faster = stats.ratio(noisy(0, 100), noisy(1, 130))
    assert slower.verdict == "slower"
    assert slower.low < 1.3 < slower.high
    assert faster.verdict == "faster"


def test_processes_that_differ_widen_the_interval():
    """Resampling samples alone would call 2 % from five processes each a difference."""
    shifted = [samples * 1.02 for samples in noisy(0, 100)]
    assert stats.ratio(shifted, noisy(1, 100)).verdict == "no difference"
    pooled = [np.concatenate(noisy(1, 100))] * 5
    by_samples = stats.ratio([np.concatenate(shifted)] * 5, pooled)
    whole = stats.ratio(shifted, noisy(1, 100))
    assert by_samples.high - by_samples.low < (whole.high - whole.low) / 2


@settings(max_examples=5, deadline=None)
@given(st.lists(TIMES, min_size=5, max_size=5), st.lists(TIMES, min_size=5, max_size=5))
def test_any_interval_is_ordered_repeatable_and_scales(top, bottom):
    ratio = stats.ratio(top, bottom)
    assert 0 < ratio.low <= ratio.high
    assert ratio == stats.ratio(top, bottom)
    doubled = stats.ratio([samples * 2 for samples in top], bottom)
    assert (doubled.value, doubled.low, doubled.high) == pytest.approx(
        (2 * ratio.value, 2 * ratio.low, 2 * ratio.high)
    )
