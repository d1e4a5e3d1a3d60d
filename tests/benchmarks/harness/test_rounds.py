"""The interleaved loop: its order, what a failure ends, and what is said of it."""

from __future__ import annotations

import pytest

from benchmarks.harness import rounds
from benchmarks.harness.lasting import Lasting, Step
from parity.workers.launch import WorkerError

GOOD, BAD = ({"parity": {"error": error}} for error in (None, "parity: too far\nover 1e-04"))


def done(steps, say=lambda line: None):
    """Do the steps of a run that keeps nothing."""
    lasting = Lasting(steps=steps)
    lasting.run(dict, say)
    return lasting


def ran(names, count, outcomes=None, **options):
    """(rows, what ran in which round, what was said) of rows with these names."""
    rows = [rounds.Row(name) for name in names]
    calls, lines = [], []

    def process(row, turn):
        calls.append((turn, row.case))
        outcome = (outcomes or {}).get((row.case, turn), GOOD)
        if isinstance(outcome, Exception):
            raise outcome
        row.add(turn, outcome)
        return f"well in {turn}"

    done(rounds.steps(rows, count, process, lambda row: row.case, **options), lines.append)
    return rows, calls, [line.partition("; about")[0] for line in lines]


def test_every_row_runs_in_every_round_forward_and_backward():
    rows, calls, lines = ran("abc", 3)
    assert calls == [
        *((0, name) for name in "abc"),
        *((1, name) for name in "cba"),
        *((2, name) for name in "abc"),
    ]
    assert [[p["round"] for p in row.processes] for row in rows] == [[0, 1, 2]] * 3
    assert lines[0] == "[1/9] a: well in 0"
    assert lines[3] == "[4/9] c: well in 1"
    assert len(lines) == 9


@pytest.mark.parametrize(
    ("outcome", "kept"), [(WorkerError("exit status 1\nkilled"), [0]), (BAD, [0, 1])]
)
def test_a_row_that_failed_is_not_run_again_and_the_others_are(outcome, kept):
    rows, calls, lines = ran("ab", 4, {("a", 1): outcome})
    error = outcome["parity"]["error"] if outcome is BAD else str(outcome)
    assert rows[0].error == error
    assert [process["round"] for process in rows[0].processes] == kept
    assert [turn for turn, name in calls if name == "a"] == [0, 1]
    assert [turn for turn, name in calls if name == "b"] == [0, 1, 2, 3]
    last = error.splitlines()[-1]
    assert [line for line in lines if " a: " in line][1:] == [
        f"[{n}/8] a: {last}" for n in (4, 5, 8)
    ]


def test_a_row_that_can_not_run_never_does():
    rows = [rounds.Row("a", "no torch"), rounds.Row("b")]
    lines = []
    done(rounds.steps(rows, 2, lambda row, turn: row.case * 2, lambda row: row.case), lines.append)
    assert [line.partition("; about")[0] for line in lines] == [
        "[1/4] a: no torch",
        "[2/4] b: bb",
        "[3/4] b: bb",
        "[4/4] a: no torch",
    ]


def test_another_error_ends_the_run():
    with pytest.raises(ValueError, match="a bug"):
        ran("ab", 1, {("a", 0): ValueError("a bug")})
    with pytest.raises(WorkerError):
        ran("ab", 1, {("a", 0): WorkerError("killed")}, failures=(KeyError,))


def test_what_comes_first_in_a_round_does_even_where_its_first_row_has_failed():
    events = []
    rows = [rounds.Row("a", "no torch"), rounds.Row("b")]
    steps = rounds.steps(
        rows,
        2,
        lambda row, turn: events.append(row.case) or "",
        lambda row: row.case,
        before=lambda turn: [Step("peaks", lambda: events.append(turn) or "")],
    )
    done(steps)
    assert events == [0, "b", 1, "b"]
    assert [step.what for step in steps] == ["peaks", "a", "b", "peaks", "b", "a"]
