"""Two records compared cell by cell, and several merged into one."""

from __future__ import annotations

import copy
import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import kinds, stats
from benchmarks.__main__ import main
from benchmarks.compare import compare, conditions, merge
from benchmarks.experiments.forward import rows
from benchmarks.records import record, tables
from tests.helpers.benchmark_records import small_record, steady_cell
from tests.helpers.exit_status import status


def make_run(seed, slower=1.0, rounds=5, names=("pytorch_impl", "torchvision")):
    """A run whose processes differ by 1 %; the first cell takes ``slower`` times as long."""
    random = np.random.default_rng(seed)
    made = small_record(rounds)
    made["context"]["date"] = f"2026-01-0{seed}T00:00:00+00:00"
    factors = [slower, *[1.0] * (len(names) - 1)]
    made["cells"] = [
        steady_cell(name, 100 * factor * (1 + 0.01 * random.standard_normal(rounds)))
        for name, factor in zip(names, factors, strict=True)
    ]
    return made


def verdicts(*arguments):
    return [row["verdict"] for row in compare.rows(*arguments)]


@pytest.mark.parametrize(
    ("slower", "said"),
    [(1.0, "SAME"), (1.2, "SLOWER"), (1 / 1.2, "FASTER"), (1.05, "AMBIGUOUS"), (1.02, "SAME")],
)
def test_a_planted_change_is_named_and_the_untouched_cell_is_the_same(slower, said):
    assert verdicts(make_run(1), make_run(2, slower)) == [said, "SAME"]


def test_the_records_swapped_turn_the_verdicts():
    before, after = make_run(1), make_run(2, 1.2)
    assert verdicts(after, before) == ["FASTER", "SAME"]
    there, back = compare.rows(before, after)[0], compare.rows(after, before)[0]
    assert (1 / back["value"], 1 / back["high"]) == pytest.approx((there["value"], there["low"]))
    assert there["value"] == pytest.approx(1.2, rel=0.02)


def test_runs_of_the_same_code_are_not_called_slower():
    runs = [make_run(seed) for seed in range(1, 9)]
    found = {verdict for a in runs for b in runs for verdict in verdicts(a, b)}
    assert found <= {"SAME", "AMBIGUOUS"}


def test_the_threshold_moves_the_verdict():
    before, after = make_run(1), make_run(2, 1.1)
    assert verdicts(before, after, 0.02)[0] == "SLOWER"
    assert verdicts(before, after, 0.10)[0] == "AMBIGUOUS"
    assert verdicts(before, after, 0.30)[0] == "SAME"


BOUNDS = st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)).map(sorted)


@given(BOUNDS, st.floats(0, 0.5))
def test_any_interval_has_one_verdict_and_its_inverse_the_opposite(bounds, threshold):
    low, high = bounds
    said = compare.verdict(stats.Ratio((low * high) ** 0.5, low, high), threshold)
    inverse = compare.verdict(stats.Ratio((low * high) ** -0.5, 1 / high, 1 / low), threshold)
    opposite = {"SLOWER": "FASTER", "FASTER": "SLOWER"}
    edges = (1 + threshold, 1 / (1 + threshold))
    if not any(np.isclose(bound, edge) for bound in bounds for edge in edges):
        assert inverse == opposite.get(said, said)
    assert (said == "SLOWER") == (low > 1 + threshold)
    if low <= 1 <= high:
        assert said in ("SAME", "AMBIGUOUS")


def test_too_few_processes_are_ambiguous_with_the_reason():
    row = compare.rows(make_run(1), make_run(2, 3.0, rounds=4))[0]
    assert row["verdict"] == "AMBIGUOUS"
    assert row["note"] == "5 and 4 processes: a ratio needs 5 of each"
    assert row["value"] is None
    assert row["after_ms"] == pytest.approx(300, rel=0.05)


@pytest.mark.parametrize("label", ["batch", "mode", "precision", "threads", "allocator", "rung"])
def test_cells_that_differ_in_one_label_are_not_compared(label):
    before, after = make_run(1), make_run(2)
    after["cells"][0][label] = 4 if label in ("batch", "threads") else "other"
    found = compare.rows(before, after)
    assert [row["verdict"] for row in found] == ["ABSENT", "SAME", "ABSENT"]
    assert [row["note"] for row in found[::2]] == [
        "in the first only",
        "in the second record only",
    ]


@pytest.mark.parametrize(
    ("broken", "said", "worse"),
    [((1,), "FAILED", True), ((0,), "AMBIGUOUS", False), ((0, 1), "AMBIGUOUS", False)],
)
def test_a_cell_that_failed_has_no_ratio(broken, said, worse):
    runs = [make_run(1), make_run(2)]
    for index in broken:
        runs[index]["cells"][0]["error"] = "exit status -11\nSegmentation fault"
    found = compare.rows(*runs)
    assert found[0]["verdict"] == said
    assert found[0]["value"] is None
    assert compare.is_worse(found) is worse
    assert ("Segmentation fault" in found[0]["note"]) is worse


def write(folder, **runs):
    for name, made in runs.items():
        kinds.write(folder / f"{name}.json", made)
    return [str(folder / f"{name}.json") for name in runs]


@pytest.mark.parametrize(("slower", "expected"), [(1.0, 0), (1.2, 1), (1 / 1.2, 0), (1.05, 0)])
def test_only_a_slower_cell_is_status_1(slower, expected, tmp_path):
    files = write(tmp_path, a=make_run(1), b=make_run(2, slower))
    assert main(["compare", *files]) == expected
    assert main(["compare", *files, "--threshold", "40"]) == 0


@pytest.mark.parametrize("style", tables.FORMATS)
def test_a_comparison_in_every_format_warns_of_another_machine(style, tmp_path, capsys):
    other = make_run(2, 1.2)
    other["context"]["system"]["cpu"] = "Another CPU"
    files = write(tmp_path, a=make_run(1), b=other)
    assert main(["compare", *files, "--format", style]) == 1
    shown = capsys.readouterr()
    warning = "WARNING: the machines differ: cpu: 'A CPU', then 'Another CPU'"
    assert warning in (shown.err if style == "csv" else shown.out)
    if style == "csv":
        found = list(csv.DictReader(io.StringIO(shown.out)))
        assert [row["verdict"] for row in found] == ["SLOWER", "SAME"]
    elif style == "json":
        assert json.loads(shown.out)["cells"][0]["verdict"] == "SLOWER"
    else:
        (line,) = (ln for ln in shown.out.splitlines() if " SLOWER" in ln and "Ratio" not in ln)
        assert "pytorch_impl" in line
        assert "All: model resnet50, batch 1, " in shown.out
    assert main(["compare", files[0], files[0], "--format", style]) == 0
    assert "WARNING" not in "".join(capsys.readouterr())


def other_kind(made):
    made["kind"] = "port"


def on_a_gpu(made):
    made["settings"]["device"] = "gpu"


def twice(made):
    made["cells"].append(made["cells"][0])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda made: made.pop("cells"), "no benchmark record"),
        (other_kind, "schema 2, but this version reads 1 only"),
        (on_a_gpu, "cpu and gpu: no two cells are alike"),
        (twice, "the second: two cells have the same labels"),
        (lambda made: made.update(schema=1), "reads 2 only"),
    ],
    ids=["spoilt", "of conversions", "of a GPU", "twice a cell", "old"],
)
def test_what_can_not_be_compared_is_status_2(spoil, said, tmp_path, capsys):
    made = make_run(2)
    spoil(made)
    (file,) = write(tmp_path, a=make_run(1))
    (tmp_path / "b.json").write_text(json.dumps(made))
    assert main(["compare", file, str(tmp_path / "b.json")]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compare", "a.json"], "required: B"),
        (["compare", "a.json", "none.json"], "none.json: can't be read"),
        (
            ["compare", "a.json", "a.json", "--threshold", "-1"],
            "'-1' must be a percentage, at least 0",
        ),
        (["compare", "a.json", "a.json", "--threshold", "nan"], "'nan' must be a number"),
        (["merge", "a.json", "--json", "out.json"], "one record alone"),
        (["merge", "a.json", "a.json"], "required: --json"),
        (["merge", "a.json", "a.json", "--json", "a.json"], "a.json: exists"),
    ],
)
def test_wrong_usage_is_status_2(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, a=make_run(1))
    assert status(main, arguments) == 2
    assert said in capsys.readouterr().err


def test_merged_cells_pool_their_processes_and_keep_their_pairs():
    """Three passes of two rounds each say nothing alone, and have their ratio together."""
    passes = [make_run(seed, 1.2, rounds=2) for seed in (1, 2, 3)]
    before = copy.deepcopy(passes)
    done = merge.merge([(f"{index}.json", made) for index, made in enumerate(passes)])
    kinds.check(done, "merged")
    assert passes == before
    assert done["settings"]["rounds"] == 6
    assert [rows.rounds(cell) for cell in done["cells"]] == [list(range(6))] * 2
    assert [peak["round"] for peak in done["peaks"]] == [0, 2, 4]
    assert all(rows.ratios(made) == [] for made in passes)
    (ratio,) = rows.ratios(done)
    assert ratio["verdict"] == "slower"
    assert ratio["low"] < 1.2 < ratio["high"]
    dates = [made["context"]["date"] for made in passes]
    assert [entry["date"] for entry in done["passes"]] == dates
    of_all = [p["samples"] for made in passes for p in made["cells"][0]["processes"]]
    assert [p["samples"] for p in done["cells"][0]["processes"]] == of_all


@pytest.mark.parametrize(("walls", "of_all"), [((7, 9), 16), ((7, None), None)])
def test_how_long_passes_took_is_no_difference_and_adds_up(walls, of_all):
    passes = [make_run(seed) for seed in (1, 2)]
    for made, wall in zip(passes, walls, strict=True):
        made["settings"] |= {} if wall is None else {"wall_ns": wall}
    done = merge.merge([(str(index), made) for index, made in enumerate(passes)])
    kinds.check(done, "merged")
    assert done["settings"].get("wall_ns") == of_all


def test_merging_in_steps_is_merging_at_once():
    a, b, c = (("x", make_run(seed)) for seed in (1, 2, 3))
    assert merge.merge([("ab", merge.merge([a, b])), c]) == merge.merge([a, b, c])


def test_cells_of_one_record_alone_stay_and_bring_their_framework():
    torch, paddle = make_run(1), make_run(2, names=("paddle_impl", "paddle.vision"))
    said = paddle["context"]["frameworks"].pop("torch")
    paddle["context"]["frameworks"]["paddle"] = {**said, "versions": {"paddle": "3.3.1"}}
    done = merge.merge([("torch", torch), ("paddle", paddle)])
    names = [cell["implementation"] for cell in done["cells"]]
    assert names == ["pytorch_impl", "torchvision", "paddle_impl", "paddle.vision"]
    assert list(done["context"]["frameworks"]) == ["paddle", "torch"]
    assert done["cells"][2]["processes"][0]["round"] == 5
    assert rows.ratios(done)[-1]["verdict"] == "no difference"


def test_a_cell_that_failed_in_one_pass_has_failed():
    second = make_run(2)
    second["cells"][0]["error"] = "killed"
    second["cells"][0]["processes"] = []
    done = merge.merge([("a", make_run(1)), ("b", second)])
    assert [cell["error"] for cell in done["cells"]] == ["killed", None]
    assert "median_ms" not in rows.rows(done)[0]


def change(*path, to):
    def apply(made):
        for step in path[:-1]:
            made = made[step]
        made[path[-1]] = to

    return apply


SYSTEM = ("context", "system")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (change(*SYSTEM, "cpu", to="Another CPU"), "cpu: 'A CPU', then 'Another CPU'"),
        (change(*SYSTEM, "affinity", to=[0]), r"affinity: [0, 1], then [0]"),
        (change(*SYSTEM, "scheduling", to="fifo, nice 0"), "scheduling: 'other, nice 0', then"),
        (change(*SYSTEM, "python", to="3.12"), "python: '3.11', then '3.12'"),
        (
            change("context", "frameworks", "torch", "versions", "torch", to="2.13.0"),
            "torch: torch: '9.8.7', then '2.13.0'",
        ),
        (
            change("context", "frameworks", "torch", "switches", "threads", to=1),
            "torch: threads: 2, then 1",
        ),
        (change("context", "environment", to={}), "$OMP_NUM_THREADS: '2', then None"),
        (
            change("context", "commit", to={"id": "abc", "dirty": False}),
            "commit: '0123456789abcdef', then 'abc'",
        ),
        (change("settings", "seed", to=1), "seed: 0, then 1"),
        (change("settings", "plan", to={"warmup": 9}), "plan: {'warmup': 3}, then {'warmup': 9}"),
    ],
)
def test_records_measured_differently_are_refused_with_what_differs(
    spoil, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    other = make_run(2)
    spoil(other)
    write(tmp_path, a=make_run(1), b=other)
    assert main(["merge", "a.json", "b.json", "--json", "out.json"]) == 2
    message = capsys.readouterr().err
    assert "b.json can't be merged with a.json" in message
    assert said in message
    assert not (tmp_path / "out.json").exists()


def test_a_record_is_not_merged_twice():
    a, b = ("a", make_run(1)), ("b", make_run(2))
    with pytest.raises(record.RecordError, match="b has samples that ab has: merged already"):
        merge.merge([("ab", merge.merge([a, b])), b])


def test_the_merge_command_writes_a_record_that_can_be_shown_and_compared(tmp_path, capsys):
    files = write(tmp_path, a=make_run(1), b=make_run(2))
    out = str(tmp_path / "out.json")
    assert main(["merge", *files, "--json", out]) == 0
    assert len(kinds.read(tmp_path / "out.json")["passes"]) == 2
    assert main(["show", out]) == 0
    assert "pytorch_impl" in capsys.readouterr().out
    assert main(["compare", files[0], out]) == 0


def test_what_one_record_alone_knows_is_no_difference():
    one, other = make_run(1), make_run(2)
    other["context"]["frameworks"]["paddle"] = one["context"]["frameworks"]["torch"]
    assert conditions.differences(one, other, conditions.software) == []
    other["context"]["frameworks"]["torch"]["versions"]["timm"] = "1.0"
    assert conditions.differences(one, other, conditions.software) == [
        "torch: timm: None, then '1.0'"
    ]
