"""A run on a busy host, or one whose processes disagree, is not called matched."""

from __future__ import annotations

import pytest

from benchmarks import kinds
from benchmarks.experiments.forward import noise
from benchmarks.records import marks
from benchmarks.records.record import RecordError
from tests.helpers.benchmark_records import failed, record, small_record, steady_cell


def run(load=0.1, medians=(100.0, 101.0, 102.0), device="cpu", cells=()):
    """A record of two rows whose processes have these medians, on two cores."""
    rows = [steady_cell(name, medians) for name in ("pytorch_impl", "paddle_impl")]
    made = record([*rows, *cells])
    made["context"]["system"]["load"] = [load, 0.0, 0.0]
    made["settings"]["device"] = device
    return made


@pytest.mark.parametrize(
    ("load", "device", "is_said"),
    [
        (0.1, "cpu", False),
        (0.5, "cpu", False),
        (0.51, "cpu", True),
        (9.0, "cpu", True),
        (9.0, "gpu", False),
    ],
)
def test_the_load_of_others_has_a_bound(load, device, is_said):
    reasons = noise.unmatched(run(load, device=device))
    assert [f"a load of {load:g} on 2 cores" in reason for reason in reasons] == [True] * is_said


@pytest.mark.parametrize(
    ("medians", "is_said"),
    [
        ((100.0, 101.0, 109.0), False),
        ((100.0, 101.0, 112.0), True),
        ((100.0,), False),
        ((100.0, 150.0), True),
    ],
)
def test_how_far_processes_lie_apart_has_a_bound(medians, is_said):
    reasons = noise.unmatched(run(medians=medians))
    assert ["apart in the middle" in reason for reason in reasons] == [True] * is_said


def test_one_wild_row_of_many_is_its_own_matter_and_a_failed_one_none():
    wild = steady_cell("timm", (100.0, 300.0))
    assert not noise.unmatched(run(cells=[wild, failed("torchvision")]))
    assert noise.unmatched(run(cells=[steady_cell(n, (1.0, 3.0)) for n in ("timm", "a", "b")]))


def test_it_is_said_beside_the_figures_and_has_to_be_a_sentence():
    made = run(9.0)
    made[marks.UNMATCHED] = noise.unmatched(made)
    assert "NOT MATCHED: other work had a load of 9 on 2 cores" in kinds.render(made, "simple")
    with pytest.raises(RecordError, match=r"record\.unmatched"):
        kinds.check({**small_record(), marks.UNMATCHED: [3]}, "x.json")
