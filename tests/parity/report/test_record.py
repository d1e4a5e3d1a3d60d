"""The record of a parity run: made of a report, held to its schema, wrong ones refused."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.readme import __main__ as readme
from parity import records
from parity.comparison.compare import compare
from parity.comparison.weights import TensorComparison, TensorDifference
from parity.records import RecordError
from parity.report import record as reports
from parity.report.text import render
from parity.run import dumps, plan
from parity.run import run as parity_run
from parity.run.plan import Options
from parity.run.results import Report, SectionResult
from parity.workers.outputs import save_output

KEPT = sorted((readme.RESULTS / "parity").glob("resnet*.json"))
DESCRIPTION = {"version": "1.0", "gpu": None, "switches": {"threads": 2}}


def report(
    difference: float, cause: dict[str, Any] | None = None, tensors: TensorComparison | None = None
) -> Report:
    """Of ResNet-18's logits alone, which differ by that."""
    options = Options(("float64",))
    (section,) = plan.sections("resnet18", options)
    logits = np.ones((2, 3))
    comparison = compare("conv1", logits + difference, logits, logits, "float64")
    result = SectionResult(section, (comparison,), cause=cause)
    return Report(
        model="resnet18", images=(2, 3, 32, 32), images_sha256=64 * "0",
        weights={"torch": "a.pth", "paddle": "a.pdparams"}, options=options, device="cpu",
        frameworks={"torch": DESCRIPTION, "paddle": DESCRIPTION}, threads=2, results=(result,),
        epsilon_effect=None, tensors=tensors or TensorComparison(62),
    )  # fmt: skip


@pytest.fixture
def record() -> dict[str, Any]:
    diagnosis = {
        "layer": "conv1", "cause": "unknown", "sentence": "The cause is unknown.", "also": (),
        "difference": 1.0, "residual": None, "section": "forward, eval mode, float64",
    }  # fmt: skip
    return reports.as_json(report(1.0, diagnosis))


@pytest.mark.parametrize("path", KEPT, ids=[path.stem for path in KEPT])
def test_a_committed_record_is_as_its_schema_says(path: Path) -> None:
    record = records.read(path, reports.SCHEMA, "record of a parity run")
    # A GPU's are in half precision too, which Paddle's CPU build could not run.
    verdict = "NOT RUN" if path.stem.endswith("-gpu") else "EQUAL"
    assert record["verdict"] == verdict
    assert render(record).endswith(f"\n{verdict}")
    assert all(section["passed"] for section in record["sections"] if not section["error"])


def test_records_of_three_depths_are_committed() -> None:
    assert [path.stem for path in KEPT] == [
        *("resnet101", "resnet152", "resnet20-gpu", "resnet50-gpu", "resnet50")
    ]


def test_a_report_is_kept_as_record_and_page(record: dict[str, Any], tmp_path: Path) -> None:
    file, page = reports.write(record, tmp_path / "new")
    assert file.name == "resnet18.json"
    assert page.read_text().startswith("<!doctype html>")
    kept = records.read(file, reports.SCHEMA, "record of a parity run")
    assert kept == json.loads(json.dumps(record))
    assert kept["verdict"] == "DIFFERENT"
    assert (kept["sections"][0]["first"], kept["sections"][0]["failed"]) == ("conv1", 1)
    assert reports.as_json(report(0.0))["verdict"] == "EQUAL"


def test_equal_outputs_of_other_weights_are_not_equal(tmp_path: Path) -> None:
    rows = [TensorDifference(f"bn{n}_mean", "4 of 4 values differ") for n in range(7)]
    for count in (1, 7):
        made = reports.as_json(report(0.0, tensors=TensorComparison(62, tuple(rows[:count]))))
        file, page = reports.write(made, tmp_path)
        kept = json.loads(file.read_text())
        assert kept["verdict"] == "DIFFERENT"
        assert [row["name"] for row in kept["tensors"]["different"]] == [
            f"bn{n}_mean" for n in range(count)
        ]
        assert "bn0_mean" in page.read_text()
        text = render(kept)
        assert text.endswith("\nDIFFERENT")
        assert f"outputs equal, {count} tensor" in text
        assert "bn0_mean (4 of 4 values differ)" in text
        assert ("and 2 more" in text) == (count == 7)
    both = render(reports.as_json(report(1.0, tensors=TensorComparison(62, tuple(rows[:1])))))
    assert "outputs equal" not in both
    assert "weights: 1 tensor differs of 62" in both
    equal = render(reports.as_json(report(0.0)))
    assert "networks: the suite's own on both sides, pytorch_impl and paddle_impl" in equal
    assert "differ" not in equal


def test_figures_have_digits_enough_to_show_why(record: dict[str, Any], tmp_path: Path) -> None:
    wrong = compare("a", np.float32([1 + 1.00003e-4]), np.float32([1]), np.array([1.0]), "float32")
    shown, most = re.fullmatch(r"relative L2 (\S+) is over (\S+)", wrong.problem).groups()
    assert float(shown) > float(most)
    plain = wrong.as_json()
    assert plain["relative_l2"] > plain["allowed"]
    record["sections"][0]["outputs"][0] |= {"relative_l2": 1.0000004e-4, "allowed": 1e-4}
    assert "1.0000004e-04  1.0000000e-04" in re.sub(" +", "  ", render(record))


MUTATIONS: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda r: r.update(schema=1), r"record\.schema: 1, but its const should be 2"),
    (lambda r: r.update(kind="networks"), r"record\.kind: 'networks'"),
    (lambda r: r.update(verdict="equal"), r"record\.verdict: 'equal'"),
    (lambda r: r.pop("threads"), "required should be .*threads"),
    (lambda r: r["images"].pop(), r"record\.images: 3 items"),
    (lambda r: r.update(images_sha256="0"), r"record\.images_sha256: '0'"),
    (lambda r: r["frameworks"].pop("paddle"), r"record\.frameworks: .*paddle"),
    (lambda r: r["context"].pop("environment"), r"record\.context: .*environment"),
    (lambda r: r["options"].update(steps=-1), r"record\.options\.steps: -1"),
    (lambda r: r["diagnosis"].pop("sentence"), r"record\.diagnosis: .*sentence"),
    (lambda r: r["sections"][0].update(kind="backward"), r"record\.sections\[0\]\.kind"),
    (lambda r: output(r).pop("relative_l2"), r"sections\[0\]\.outputs\[0\]: .*relative_l2"),
    (lambda r: output(r).update(passed=1), r"sections\[0\]\.outputs\[0\]\.passed: 1"),
    (lambda r: output(r).update(nearer="both"), r"sections\[0\]\.outputs\[0\]\.nearer: 'both'"),
]


def output(record: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = record["sections"][0]["outputs"][0]
    return first


@pytest.mark.parametrize(("mutate", "reason"), MUTATIONS)
def test_a_wrong_record_is_not_written(
    record: dict[str, Any],
    tmp_path: Path,
    mutate: Callable[[dict[str, Any]], Any],
    reason: str,
) -> None:
    wrong = copy.deepcopy(record)
    wrong["images"] = list(wrong["images"])
    mutate(wrong)
    with pytest.raises(RecordError, match=rf"no record of a parity run:\n.*{reason}"):
        reports.write(wrong, tmp_path)
    assert not list(tmp_path.iterdir())


# -- the manifest of a dump


def manifest() -> dict[str, Any]:
    return {
        "schema": 2, "framework": "torch", "model": "resnet18", "labels": [1, 2],
        "images": [2, 3, 32, 32], "images_sha256": 64 * "0", "weights": "a.pth", "device": "cpu",
        "options": {
            "precisions": ["float64"], "modes": ["eval"], "isolate": False, "backward": False,
            "steps": 0,
        },
        "threads": 2, "said": dict(DESCRIPTION), "digests": {"a/b": 64 * "0"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mutate", "reason"),
    [
        (lambda m: m.update(schema=1), r"record\.schema: 1, but its const should be 2"),
        (lambda m: m.update(framework="jax"), r"record\.framework: 'jax'"),
        (lambda m: m.pop("labels"), "required should be .*labels"),
        (lambda m: m["options"].pop("steps"), r"record\.options: .*steps"),
        (lambda m: m["said"].pop("version"), r"record\.said: .*version"),
        (lambda m: m.pop("digests"), "required should be .*digests"),
        (lambda m: m["digests"].update(x="0"), r"record\.digests\.x"),
    ],
)
def test_a_folder_that_is_no_dump_is_refused(
    tmp_path: Path, mutate: Callable[[dict[str, Any]], Any], reason: str
) -> None:
    path = tmp_path / dumps.MANIFEST
    path.write_text(json.dumps(manifest()))
    assert records.read(path, dumps.SCHEMA, "manifest") == manifest()
    wrong = manifest()
    mutate(wrong)
    path.write_text(json.dumps(wrong))
    with pytest.raises(RecordError, match=rf"no manifest of a dump of parity's:\n.*{reason}"):
        dumps.compare((tmp_path, tmp_path))


# -- what JSON can't hold


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_epsilon_effect_that_is_not_finite_is_not_measured(tmp_path: Path, value: float) -> None:
    ours = plan.folder("forward", "eval", plan.REFERENCE)
    for folder, array in ((plan.OWN_EPSILON, [[value, 2.0]]), (ours, [[1.0, 2.0], [3.0, 4.0]])):
        (tmp_path / folder).mkdir()
        save_output(tmp_path / folder, "logits", np.array(array))
    assert parity_run.epsilon_effect(tmp_path) is None
    (tmp_path / plan.OWN_EPSILON / "logits.safetensors").unlink()
    save_output(tmp_path / plan.OWN_EPSILON, "logits", np.array([[1.0, 2.5]]))
    assert parity_run.epsilon_effect(tmp_path) == pytest.approx(0.5 / math.sqrt(5))
