"""What a reader must know of a record stands wherever its figures are: no way around it."""

from __future__ import annotations

import csv
import io
import json

import pytest

from benchmarks import kinds
from benchmarks.__main__ import main
from benchmarks.compare import compare
from benchmarks.compare.merge import merge
from benchmarks.records import marks, rooms
from benchmarks.report import page, pictures
from tests.helpers.benchmark_records import small_record

STALE = "Taken with code of commit 0123456789ab; the code has changed since."
PARTS = [{"date": "2026-01-03T00:00:00+00:00", "done": 7}]
RESUMED = "Taken in parts; it went on at 2026-01-03T00:00:00+00:00 (after 7 steps)."
CUT = "NOT COMPLETE: 3 of 20 steps are done; --resume does the rest."


def marked(*which):
    """A record with these marks, of all that there are."""
    made = small_record(rounds=5)
    if "stale" not in which:
        made["context"]["rooms"] = rooms.digests()
    if "resumed" in which:
        made[marks.RESUMED] = PARTS
    if "cut" in which:
        made[marks.INCOMPLETE] = {"done": 3, "of": 20}
    return made


TEXTS = {"stale": STALE, "resumed": RESUMED, "cut": CUT}


@pytest.mark.parametrize("which", TEXTS)
def test_a_mark_stands_in_every_format_and_no_other_does(which):
    made = marked(which)
    assert marks.marks(made) == [TEXTS[which]]
    for style in ("simple", "github"):
        assert TEXTS[which] in kinds.render(made, style)
    assert json.loads(kinds.render(made, "json"))["marks"] == [TEXTS[which]]
    rows = list(csv.DictReader(io.StringIO(kinds.render(made, "csv"))))
    assert {row["marks"] for row in rows} == {TEXTS[which]}
    assert page.data(made)["marks"] == [TEXTS[which]]


def test_a_record_without_a_mark_has_none_anywhere():
    made = marked()
    assert marks.marks(made) == []
    assert "marks" not in json.loads(kinds.render(made, "json"))
    assert "marks" not in kinds.render(made, "csv").splitlines()[0]
    assert page.data(made)["marks"] == []


@pytest.mark.parametrize("which", TEXTS)
def test_a_comparison_says_which_of_the_two_it_is(which):
    other = marked()
    lines = compare.notices(marked(which), other)
    assert f"Of the first record: {TEXTS[which]}" in lines
    assert f"Of the second record: {TEXTS[which]}" in compare.notices(other, marked(which))
    found = compare.rows(other, marked(which))
    text = compare.render(found, compare.notices(other, marked(which)), "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert all(f"Of the second record: {TEXTS[which]}" in row["marks"] for row in rows)


def test_a_picture_has_its_marks_and_another_digest(tmp_path):
    plain, stale = tmp_path / "plain.svg", tmp_path / "stale.svg"
    pictures.draw(marked(), "throughput", plain)
    pictures.draw(marked("stale"), "throughput", stale)
    assert 'id="text_' in plain.read_text()
    assert "#a00000" in stale.read_text()  # the text is drawn as paths, in a colour of its own
    assert "#a00000" not in plain.read_text()
    assert pictures.digest(marked()) != pictures.digest(marked("cut"))


def test_rows_that_were_not_come_to_are_not_called_failures(tmp_path, capsys):
    made = marked("cut")
    made["cells"][1].update(processes=[], error=marks.PENDING)
    made["cells"][2].update(processes=[], error=f"{marks.ABSENT}: paddle; pip install x")
    file = tmp_path / "run.json"
    file.write_text(json.dumps(made))
    assert main(["show", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "FAILED not" not in shown
    assert marks.PENDING in shown
    assert "not installed: paddle" in shown
    assert shown.count("FAILED") == 1  # the one that did


def test_a_record_of_several_has_the_marks_of_all():
    cut, resumed, plain = marked("cut"), marked("resumed"), marked()
    resumed[marks.UNMATCHED] = ["it was noisy"]
    made = {**marks.plain(cut), **marks.joined([cut, resumed, plain, cut])}
    assert made[marks.INCOMPLETE] == {"done": 6, "of": 40}
    assert made[marks.RESUMED] == PARTS
    assert made[marks.UNMATCHED] == ["it was noisy"]
    assert marks.marks({**marks.plain(cut), **marks.joined([plain, plain])}) == []


@pytest.mark.parametrize("turned", [False, True])
def test_a_row_that_one_record_did_not_come_to_is_the_other_s(turned):
    whole, cut = marked(), marked("cut")
    cut["cells"] = [{**cell, "processes": [], "error": marks.PENDING} for cell in cut["cells"]]
    records = [("a", whole), ("b", cut)]
    merged = merge(records[::-1] if turned else records)
    assert [cell["error"] for cell in merged["cells"]] == [cell["error"] for cell in whole["cells"]]
    assert [len(cell["processes"]) for cell in merged["cells"]] == [5, 5, 5, 1]
    assert marks.marks(merged) == [CUT]
