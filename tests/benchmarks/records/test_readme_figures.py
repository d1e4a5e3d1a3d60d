"""What the README shows of a ratio and of a time: no more digits than their intervals carry."""

from __future__ import annotations

import pytest

from benchmarks.readme import speeds


@pytest.mark.parametrize(
    ("low", "value", "high", "shown"),
    [
        (1.05, 1.16, 1.30, ("1.16", "1.05 to 1.30")),
        (1.59, 2.02, 2.55, ("2.02", "1.59 to 2.55")),  # wide, and slower all the same
        (0.95, 1.00, 1.05, ("1.00", "0.95 to 1.05")),
        (0.44, 0.81, 1.50, ("–", "0.4 to 1.5")),
        (0.96, 1.31, 1.78, ("–", "1.0 to 1.8")),
    ],
)
def test_a_ratio_that_says_nothing_has_no_figure(low, value, high, shown):
    row = {"low": low, "ratio": value, "high": high}
    assert (speeds._quoted(row), speeds._interval(row)) == shown


@pytest.mark.parametrize(
    ("median", "between", "shown"),
    [
        (93.64, 0.1, "93.6"),
        (8.126, 0.1, "8.13"),
        (93.64, 0.4, "94"),
        (8.126, 0.4, "8.1"),
        (1141.2, 0.4, "1100"),
        (0.2134, 0.4, "0.21"),
        (93.64, None, "93.6"),
    ],
)
def test_a_time_whose_processes_differ_has_two_digits(median, between, shown):
    assert speeds._cell({"error": None, "median_ms": median, "between": between}) == shown
