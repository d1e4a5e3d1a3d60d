"""The statistics of benchmarks: properties over any samples, and cases that must be noticed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import stats

TIMES = st.lists(st.integers(1, 10**12), min_size=1, max_size=30).map(np.array)
PROCESSES = st.lists(TIMES, min_size=1, max_size=6)
STEADY = [np.full(150, 100), np.full(150, 100)]


@given(PROCESSES)
def test_any_samples_give_a_summary_without_contradiction(processes):
    summary = stats.summarise(processes)
    assert stats.contradictions(summary) == []
    assert summary.samples == sum(map(len, processes))
    assert summary.minimum <= summary.median <= summary.maximum
    assert summary.spread >= 0
    for percent in stats.PERCENTILES:
        withheld = getattr(summary, f"p{percent}") is None
        assert withheld == (summary.samples < stats.needed(percent))
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


@given(PROCESSES, st.sampled_from([2, 4, 1024]))
def test_warnings_do_not_depend_on_the_unit_and_equal_samples_have_none(processes, factor):
    said = stats.warnings(stats.summarise(processes))
    assert said == stats.warnings(stats.summarise([p * factor for p in processes]))
    steady = [np.full(len(p), 7) for p in processes]
    assert stats.warnings(stats.summarise(steady)) == []


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=400).map(np.array))
def test_percentiles_rise_and_those_that_are_known_stay_known_for_more_samples(pooled):
    found = [value for value in stats.percentiles(pooled) if value is not None]
    assert found == sorted(found)
    assert all(np.median(pooled) <= value <= pooled.max() for value in found)
    more = stats.percentiles(np.repeat(pooled, 2))
    assert sum(value is not None for value in more) >= len(found)


def test_a_summary_against_numbers_worked_out_by_hand():
    summary = stats.summarise([np.array([10, 20, 30, 40, 50]), np.array([60, 70, 80, 90, 100])])
    assert (summary.median, summary.p90, summary.mean) == (55, None, 55)
    assert summary.spread == pytest.approx((77.5 - 32.5) / 55)
    assert summary.between == pytest.approx((80 - 30) / 55)


def test_percentiles_against_numbers_worked_out_by_hand():
    summary = stats.summarise([np.arange(1, 201), np.arange(201, 402)])
    assert (summary.median, summary.p90, summary.p95, summary.p99) == (201, 361, 381, 397)


@pytest.mark.parametrize(("percent", "count"), [(90, 30), (95, 60), (99, 300)])
def test_a_percentile_needs_three_samples_above_it(percent, count):
    """From there the largest sample is above the true percentile with 95 %; 40 give no p99."""
    assert stats.needed(percent) == count
    assert 1 - (percent / 100) ** count >= 0.95
    enough = stats.summarise([np.arange(1, count + 1)])
    one_less = stats.summarise([np.arange(1, count)])
    assert getattr(enough, f"p{percent}") is not None
    assert getattr(one_less, f"p{percent}") is None


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
        ({"median": 101.0}, "the median is above the p90"),
        ({"p90": 101.0}, "the p90 is above the p95"),
        ({"p95": 101.0}, "the p95 is above the p99"),
        ({"p99": 101.0}, "the p99 is above the maximum"),
        ({"p90": None, "p95": None, "p99": 101.0}, "the p99 is above the maximum"),
        ({"p90": None, "p95": None, "p99": None, "median": 101.0}, "the median is above the max"),
        ({"median": float("nan")}, "the minimum is above the median"),
        ({"mean": float("nan")}, "the mean is above the maximum"),
        ({"mean": 101.0}, "the mean is above the maximum"),
        ({"mean": 99.0}, "the mean is below the minimum"),
        ({"minimum": 101.0}, "the minimum is above the median"),
    ],
)
def test_an_impossible_summary_is_named(change, claim):
    claims = stats.contradictions(replace(stats.summarise(STEADY), **change))
    assert any(found.startswith(claim) for found in claims)


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
    """Samples alone would call 2 % from five processes each a difference."""
    shifted = [samples * 1.02 for samples in noisy(0, 100)]
    assert stats.ratio(shifted, noisy(1, 100)).verdict == "no difference"
    pooled = [np.concatenate(noisy(1, 100))] * 5
    by_samples = stats.ratio([np.concatenate(shifted)] * 5, pooled)
    whole = stats.ratio(shifted, noisy(1, 100))
    assert by_samples.high - by_samples.low < (whole.high - whole.low) / 2


FIVE_OR_MORE = st.lists(TIMES, min_size=5, max_size=8)
FIVE_PAIRS = st.lists(st.tuples(TIMES, TIMES), min_size=5, max_size=8)


def numbers(ratio):
    return pytest.approx((ratio.value, ratio.low, ratio.high), rel=1e-9)


@given(FIVE_OR_MORE, FIVE_OR_MORE)
def test_any_interval_is_ordered_repeatable_and_scales(top, bottom):
    ratio = stats.ratio(top, bottom)
    assert 0 < ratio.low <= ratio.value <= ratio.high
    assert ratio == stats.ratio(top, bottom)
    doubled = stats.ratio([samples * 2 for samples in top], bottom)
    assert (doubled.value / 2, doubled.low / 2, doubled.high / 2) == numbers(ratio)
    both = stats.ratio([samples * 2 for samples in top], [samples * 2 for samples in bottom])
    assert (both.value, both.low, both.high) == numbers(ratio)


@given(FIVE_PAIRS, st.booleans())
def test_the_sides_swapped_are_the_inverse(pairs, paired):
    top, bottom = zip(*pairs, strict=True)
    ratio, inverse = stats.ratio(top, bottom, paired), stats.ratio(bottom, top, paired)
    assert (1 / inverse.value, 1 / inverse.high, 1 / inverse.low) == numbers(ratio)


@given(FIVE_PAIRS, st.randoms(use_true_random=False))
def test_the_order_of_rounds_does_not_matter_nor_of_processes_that_are_no_pairs(pairs, random):
    top, bottom = zip(*pairs, strict=True)
    shuffled = list(pairs)
    random.shuffle(shuffled)
    again = stats.ratio(*zip(*shuffled, strict=True), paired=True)
    assert (again.value, again.low, again.high) == numbers(stats.ratio(top, bottom, paired=True))
    turned = stats.ratio(top[::-1], bottom)
    assert (turned.value, turned.low, turned.high) == numbers(stats.ratio(top, bottom))


def test_a_drift_that_both_sides_share_cancels_in_pairs_alone():
    drift = [1.0, 1.3, 0.8, 1.1, 0.9]
    top = [np.full(9, 103 * d) for d in drift]
    bottom = [
        np.full(9, 100 * d + n) for d, n in zip(drift, [0.1, -0.1, 0.2, 0, -0.2], strict=True)
    ]
    assert stats.ratio(top, bottom).verdict == "no difference"
    assert stats.ratio(top, bottom, paired=True).verdict == "slower"
    with pytest.raises(ValueError, match="5 processes can't be paired with 6"):
        stats.ratio(top, [*bottom, bottom[0]], paired=True)


def found(effect, drift, paired):
    """Share of 400 pairs called a difference: processes differ by 2 %, and both sides drift."""
    random = np.random.default_rng(5)
    noise = 0.02 * random.standard_normal((400, 2, 5, 1))
    noise += drift * random.standard_normal((400, 1, 5, 1))
    noise[:, 0] += np.log(1 + effect)
    ratios = [stats.ratio(*pair, paired) for pair in np.exp(noise)]
    return np.mean([ratio.verdict != "no difference" for ratio in ratios])


@pytest.mark.parametrize(("paired", "drift"), [(True, 0.0), (True, 0.05), (False, 0.0)])
def test_of_pairs_without_a_difference_about_one_in_twenty_is_called_one(paired, drift):
    assert 0.03 <= found(0.0, drift, paired) <= 0.07


def test_a_tenth_is_found_in_pairs_in_spite_of_a_drift():
    assert found(0.1, 0.0, paired=False) > 0.98
    assert found(0.1, 0.05, paired=True) > 0.98
    assert found(0.1, 0.05, paired=False) < 0.9


@pytest.mark.parametrize(
    ("freedom", "point"),
    [(4, 2.776), (5, 2.571), (8, 2.306), (10, 2.228), (30, 2.042), (120, 1.980)],
)
def test_students_t_against_the_published_table(freedom, point):
    assert stats.student(freedom) == pytest.approx(point, abs=1e-3)


@pytest.mark.parametrize(
    ("count", "rank"),
    [(1, 0), (5, 0), (6, 1), (8, 1), (9, 2), (10, 2), (20, 6), (70, 27), (100, 40)],
)
def test_the_ranks_around_a_median_against_the_binomial_worked_out(count, rank):
    """Fewer than ``rank`` samples are below the median with at most 2.5 %; one more is too many."""
    assert stats.median_rank(count) == rank
    below = [sum(math.comb(count, i) for i in range(j)) / 2**count for j in (rank, rank + 1)]
    assert below[0] <= 0.025 < below[1]


@given(st.lists(st.integers(1, 10**12), min_size=6, max_size=60), st.sampled_from([2, 1024]))
def test_noise_is_a_share_that_no_unit_and_no_order_changes(times, factor):
    noise = stats.median_noise(times)
    assert noise >= 0
    assert noise == stats.median_noise([factor * t for t in reversed(times)])
    assert stats.median_noise(times[:5]) == math.inf
    assert stats.median_noise([times[0]] * 6) == 0


@given(FIVE_PAIRS, st.booleans())
def test_the_quotient_of_two_shown_times_is_their_ratio(pairs, paired):
    top, bottom = zip(*pairs, strict=True)
    ratio = stats.ratio(top, bottom, paired)
    assert ratio.value == pytest.approx(stats.typical(top) / stats.typical(bottom), rel=1e-12)
    assert ratio.low <= ratio.value <= ratio.high


@given(PROCESSES)
def test_a_typical_time_is_none_outside_of_the_medians(processes):
    medians = [np.median(samples) for samples in processes]
    assert min(medians) <= stats.typical(processes) <= max(medians)
    assert stats.typical([processes[0]] * 3) == medians[0]


def test_a_process_counts_once_however_many_samples_it_has():
    few, many = np.full(2, 100), np.full(2000, 400)
    assert stats.typical([few, many]) == pytest.approx(200)
