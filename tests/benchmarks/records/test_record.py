"""Records: what the schema takes and refuses, the file, and the tables rendered from it."""

from __future__ import annotations

import copy
import csv
import io
import json

import pytest
from jsonschema import Draft202012Validator

import weight_port
from benchmarks import kinds
from benchmarks.__main__ import main
from benchmarks.experiments.forward import rows
from benchmarks.records import record, tables
from benchmarks.roofline import roofs
from tests.helpers.benchmark_records import FAILED, REASON, small_record, steady_cell
from weight_port import arch


def test_a_record_survives_its_file(tmp_path):
    made = small_record()
    kinds.write(tmp_path / "run.json", made)
    assert kinds.read(tmp_path / "run.json") == made


def test_a_record_from_before_processes_said_why_they_ended_is_read(tmp_path):
    made = small_record()
    for cell in made["cells"]:
        for process in cell["processes"]:
            del process["stopped"]
    kinds.write(tmp_path / "run.json", made)
    assert kinds.read(tmp_path / "run.json") == made


def test_a_record_that_is_there_stays_unless_forced(tmp_path):
    kinds.write(tmp_path / "run.json", small_record())
    with pytest.raises(weight_port.DestinationError, match="exists"):
        kinds.write(tmp_path / "run.json", small_record(rounds=3))
    kinds.write(tmp_path / "run.json", small_record(rounds=3), force=True)
    assert kinds.read(tmp_path / "run.json")["settings"]["rounds"] == 3


def remove_samples(made):
    del made["cells"][1]["processes"][0]["samples"]


def negative_sample(made):
    made["cells"][1]["processes"][0]["samples"]["device_ns"][2] = -1


def text_for_batch(made):
    made["cells"][1]["batch"] = "8"


def true_for_batch(made):
    made["cells"][1]["batch"] = True


def no_context(made):
    del made["context"]


def no_process(made):
    made["cells"][1]["processes"] = []


def null_samples(made):
    made["cells"][1]["processes"][1]["samples"] = None


def unknown_reason(made):
    made["cells"][1]["processes"][1]["stopped"] = "bored"


def empty_samples(made):
    made["cells"][1]["processes"][1]["samples"]["device_ns"] = []


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (no_process, r"cells\[1\]: no error, and no samples"),
        (null_samples, r"cells\[1\]: no error, and no samples"),
        (empty_samples, r"cells\[1\]: no error, and no samples"),
        (remove_samples, r"cells\[1\]\.processes\[0\]: an object with round.* required"),
        (negative_sample, r"cells\[1\]\.processes\[0\]\.samples\.device_ns\[2\]: -1.* minimum"),
        (text_for_batch, r"cells\[1\]\.batch: '8'.* integer"),
        (true_for_batch, r"cells\[1\]\.batch: True.* integer"),
        (
            unknown_reason,
            r"processes\[1\]\.stopped: 'bored'.* \['noise', 'minima', 'count', 'time'",
        ),
        (no_context, r"record: an object with schema.* required"),
    ],
)
def test_a_spoilt_record_is_refused_with_the_place(spoil, where, tmp_path):
    made = small_record()
    spoil(made)
    with pytest.raises(record.RecordError, match=where):
        kinds.write(tmp_path / "run.json", made)
    assert not list(tmp_path.iterdir())
    (tmp_path / "run.json").write_text(json.dumps(made))
    with pytest.raises(record.RecordError, match=where):
        kinds.read(tmp_path / "run.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("[]", "schema None"),
        ('{"schema": 1}', "schema 1, but this version reads 2 only"),
        ('{"schema": 2}', "required"),
    ],
)
def test_what_is_no_record_is_refused(text, said, tmp_path, capsys):
    path = tmp_path / "run.json"
    path.write_text(text)
    assert main(["show", str(path)]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert str(path) in shown.err
    assert not shown.out
    assert main(["show", str(tmp_path / "none.json")]) == 2
    assert "can't be read" in capsys.readouterr().err


SCHEMAS = [record.schema(folder) for folder in kinds.KINDS.values()]
FOR_READERS = {"$schema", "$defs", "title", "description"}


def keywords(schema):
    """Every keyword of a schema and of those within, not the names of properties."""
    if not isinstance(schema, dict):
        return
    for key, value in schema.items():
        yield key
        for inner in value.values() if key in ("properties", "$defs") else (value,):
            yield from keywords(inner)


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: file.parent.name)
def test_a_schema_is_one_and_a_misspelt_keyword_is_seen(file):
    """JSON Schema ignores what it doesn't know, so a typing error would check nothing."""
    schema = json.loads(file.read_text())
    known = FOR_READERS | set(Draft202012Validator.VALIDATORS)
    Draft202012Validator.check_schema(schema)
    assert set(keywords(schema)) <= known
    schema["properties"]["schema"]["minimun"] = 1
    assert set(keywords(schema)) - known == {"minimun"}


def test_the_first_eight_problems_are_listed_and_the_rest_counted():
    made = small_record()
    for cell in made["cells"]:
        cell.update(batch=0, size="x", threads=-1)
    with pytest.raises(record.RecordError, match="and 4 more") as raised:
        kinds.check(made, "run.json")
    assert str(raised.value).count("\n") == 9


def test_every_sample_of_not_a_number_is_refused(tmp_path):
    made = small_record()
    made["cells"][0]["processes"][0]["parity"]["max_abs"] = float("nan")
    with pytest.raises(record.RecordError, match="nan is no number"):
        kinds.write(tmp_path / "run.json", made)
    assert not list(tmp_path.iterdir())


def test_the_numbers_of_a_row_are_those_of_its_samples():
    row = rows.rows(small_record())[0]
    flops = 2 * arch.multiply_adds("resnet50")
    assert row["median_ms"] == 100
    assert row["images_per_s"] == 10
    assert row["gflops"] == pytest.approx(flops / 0.1 / 1e9)
    assert row["share_of_peak"] == pytest.approx(row["gflops"] / 10)  # 2·100³ in 200 µs
    assert (row["processes"], row["samples"], row["notes"]) == (2, 10, [])


def test_the_batch_counts_in_images_and_in_operations():
    made = small_record()
    made["cells"] = [steady_cell("pytorch_impl", [100.0] * 2, batch=8)]
    one, eight = rows.rows(small_record())[0], rows.rows(made)[0]
    assert eight["images_per_s"] == 8 * one["images_per_s"]
    assert eight["gflops"] == 8 * one["gflops"]


def test_the_peak_is_the_fastest_product_of_any_framework_size_and_round():
    made = small_record()
    slow, fast = ({"n": n, "device_ns": [200_000, 900_000]} for n in (50, 200))
    made["peaks"].append({**made["peaks"][0], "framework": "paddle", "products": [slow, fast]})
    made["peaks"].append({**made["peaks"][0], "precision": "bf16", "products": [fast]})
    best = [(row["framework"], row["n"], row["gflops"]) for row in roofs.peaks(made, "fp32")]
    assert best == [("paddle", 200, 80), ("torch", 100, 10)]
    row = rows.rows(made)[0]
    assert row["share_of_peak"] == pytest.approx(row["gflops"] / 80)
    said = "(paddle 80 GFLOP/s at n = 200, torch 10 GFLOP/s at n = 100)"
    assert said in kinds.render(made, "simple")


def test_without_a_product_there_is_no_share_of_peak():
    made = small_record()
    made["peaks"][0]["products"] = []
    assert rows.rows(made)[0]["share_of_peak"] is None
    assert "of peak" in kinds.render(made, "simple")


def test_a_failed_row_has_its_error_and_no_speed_in_every_format():
    made = small_record()
    row = rows.rows(made)[3]
    assert row["error"] == FAILED
    assert "median_ms" not in row
    assert "images_per_s" not in row
    for style in ("simple", "github"):
        (line,) = (ln for ln in kinds.render(made, style).splitlines() if "paddle.vision" in ln)
        assert REASON in line
        assert "150" not in line
    lines = list(csv.DictReader(io.StringIO(kinds.render(made, "csv"))))
    assert lines[3]["error"] == FAILED
    assert not lines[3]["median_ms"]


def test_ratios_are_withheld_below_five_processes_and_quoted_from_there():
    assert rows.ratios(small_record(rounds=4)) == []
    assert "No ratios" in kinds.render(small_record(rounds=4), "simple")
    quoted = {
        (row["numerator"], row["denominator"]): row["verdict"]
        for row in rows.ratios(small_record(rounds=5))
    }
    assert quoted == {
        ("pytorch_impl", "torchvision"): "faster",
        ("paddle_impl", "pytorch_impl"): "slower",
    }  # and none with paddle.vision, which failed
    assert "verdict" in kinds.render(small_record(rounds=5), "github")


def test_processes_of_the_same_round_are_pairs_and_of_others_are_not():
    """The machine drifts by 20 % between rounds, which both sides share; one is 2 % slower."""
    made = small_record(rounds=5)
    drift = [1.0, 1.2, 0.9, 1.1, 0.8]
    noise = [0.1, -0.1, 0.2, 0.0, -0.2]
    ours = [102 * d for d in drift]
    theirs = [100 * d + n for d, n in zip(drift, noise, strict=True)]
    made["cells"] = [steady_cell("pytorch_impl", ours), steady_cell("torchvision", theirs)]
    assert rows.ratios(made)[0]["verdict"] == "slower"
    for process in made["cells"][1]["processes"]:
        process["round"] += 5
    assert rows.ratios(made)[0]["verdict"] == "no difference"


def test_rungs_are_never_mixed_in_a_ratio():
    made = small_record(rounds=5)
    for cell in made["cells"]:
        if cell["implementation"] != "paddle_impl":
            cell["rung"] = "defaults"
    pairs = [(row["numerator"], row["denominator"]) for row in rows.ratios(made)]
    assert pairs == [("pytorch_impl", "torchvision")]


def test_a_gpu_has_its_three_clocks_and_is_warned_of_when_launch_bound():
    made = small_record()
    assert "enqueue ms" not in kinds.render(made, "simple")
    made["settings"]["device"] = "gpu"
    text = kinds.render(made, "simple")
    assert "enqueue ms" in text
    assert "launch-bound" in text  # enqueueing took all of the device's time
    made["cells"][0]["processes"][0]["samples"]["enqueue_ns"] = [1_000_000] * 5
    made["cells"][0]["processes"][1]["samples"]["enqueue_ns"] = [1_000_000] * 5
    assert rows.rows(made)[0]["notes"] == []


def test_unstable_samples_are_noted_in_the_table():
    made = small_record()
    made["cells"][0]["processes"][0]["samples"]["device_ns"][0] *= 3
    (line,) = (ln for ln in kinds.render(made, "simple").splitlines() if "pytorch_impl  " in ln)
    assert "an extreme 197% from the median" in line


@pytest.mark.parametrize("style", list(tables.FORMATS))
def test_show_renders_the_file_in_every_format(style, tmp_path, capsys):
    kinds.write(tmp_path / "run.json", small_record(rounds=5))
    assert main(["show", str(tmp_path / "run.json"), "--format", style]) == 0
    text = capsys.readouterr().out
    for name in ("pytorch_impl", "torchvision", "paddle_impl", "paddle.vision", "matched"):
        assert name in text
    if style == "json":
        assert json.loads(text)["ratios"][0]["ratio"] == pytest.approx(100 / 101)
    if style == "csv":
        assert float(next(csv.DictReader(io.StringIO(text)))["median_ms"]) == 100
    if style == "github":
        assert text.startswith("| model")


def test_rendering_changes_nothing_in_the_record():
    made = small_record(rounds=5)
    before = copy.deepcopy(made)
    for style in tables.FORMATS:
        kinds.render(made, style)
    assert made == before
