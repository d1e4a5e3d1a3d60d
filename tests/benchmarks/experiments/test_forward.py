"""The benchmark command: its grid, its refusals, and real runs of a small network on a CPU."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import weight_port
from benchmarks import kinds
from benchmarks.__main__ import main
from benchmarks.commands.forward import ROWS
from benchmarks.experiments.forward import measure as run
from benchmarks.experiments.forward import rows
from benchmarks.grid import cells
from benchmarks.harness import frameworks, worker
from benchmarks.records import record
from benchmarks.report import page
from parity import machine, seeded
from parity.workers import launch
from parity.workers.launch import WorkerError
from tests import ROOT
from tests.helpers.exit_status import status

SMALL = ["--models", "resnet18", "--batch", "1", "--size", "64", "--rounds", "1"]
ALL = list(ROWS)


def test_the_grid_has_every_combination_side_by_side():
    grid = cells.grid(["resnet18", "resnet34"], [1, 8], ALL, 64, [2])
    assert len(set(grid)) == len(grid) == 16
    assert [cell.implementation for cell in grid[:4]] == ALL
    assert len({(cell.model, cell.batch) for cell in grid[:4]}) == 1
    assert {(cell.rung, cell.precision, cell.layout, cell.mode) for cell in grid} == {
        ("matched", "fp32", "NCHW", "eager")
    }


def test_rounds_run_forward_then_backward():
    assert list(cells.abba(3, 3)) == [
        *((0, 0), (0, 1), (0, 2)),
        *((1, 2), (1, 1), (1, 0)),
        *((2, 0), (2, 1), (2, 2)),
    ]


@pytest.mark.parametrize("count", [1, 4, 7])
def test_a_steady_drift_falls_on_every_cell_alike(count):
    places = {index: [] for index in range(count)}
    for place, (_, index) in enumerate(cells.abba(count, 4)):
        places[index].append(place)
    assert len({sum(found) for found in places.values()}) == 1


REFERENCE = np.random.default_rng(0).standard_normal((2, 10))


def set_nan(output):
    output[1, 3] = np.nan
    return output


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda y: y * np.float32(1.001), "relative L2 1.0e-03 from the reference is over 1e-04"),
        (lambda y: y[:, ::-1], "relative L2"),
        (lambda y: y[:1], "shape is [1, 10], the reference [2, 10]"),
        (lambda y: y.astype(np.float64), "float64, float32 was asked"),
        (set_nan, "1 of 20 values are NaN or infinite"),
        (lambda y: y * np.float32("inf"), "20 of 20 values are NaN or infinite"),
    ],
    ids=["scaled", "reversed", "shape", "dtype", "nan", "infinite"],
)
def test_a_wrong_output_fails_parity(change, said):
    found = worker.check(change(REFERENCE.astype(np.float32)), REFERENCE, "fp32")
    assert said in found["error"]


def test_rounding_to_float32_passes_and_is_measured():
    found = worker.check(REFERENCE.astype(np.float32), REFERENCE, "fp32")
    assert found["error"] is None
    assert 0 < found["relative_l2"] < 1e-7
    assert found["max_abs"] == np.abs(REFERENCE.astype(np.float32) - REFERENCE).max()


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_reference_without_content_passes_nothing(value):
    reference = np.full((1, 4), value)
    found = worker.check(np.ones((1, 4), np.float32), reference, "fp32")
    assert found["error"].startswith("parity: relative L2")
    assert found["relative_l2"] is None  # what JSON can't hold does not get there
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--models", "resnet99"], "unknown 'resnet99': choose from resnet18,"),
        (["--models", "resnet18_v1"], "unknown 'resnet18_v1'"),
        (["--implementations", "jax"], "unknown 'jax': choose from pytorch_impl,"),
        (["--batch", "1,0"], "'0' must be a whole number, at least 1"),
        (["--batch", "1,,2"], "'' must be a whole number, at least 1"),
        (["--rounds", "two"], "'two' must be a whole number, at least 1"),
        (["--size", "31"], "'31' must be a whole number, at least 32"),
        (["--threads", "-1"], "'-1' must be a whole number, at least 1"),
        (["--modes", "fast"], "unknown 'fast': choose from defaults, eager,"),
        (["--modes", "onednn"], "pytorch_impl has no such mode, precision or layout; its modes:"),
        (["--precisions", "int8"], "unknown 'int8': choose from fp32, tf32,"),
        (["--max-seconds", "0"], "'0' must be above 0"),
        (["--max-seconds", "nan"], "'nan' must be a number"),
        (["run"], "required: SUITE"),
        (["run", "nothing"], "a file, or one of cifar, classics, cpu, gpu,"),
        (["run", "pyproject.toml"], "pyproject.toml: no [[cells]]"),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
        (["--json", "no/such/folder/run.json"], "does not exist"),
        (["--json", "pyproject.toml"], "pyproject.toml: exists"),
        (["show"], "required: RECORD"),
        (["comparison"], "invalid choice: 'comparison'"),
        (["show", "x.json", "--format", "pdf"], "invalid choice: 'pdf'"),
        (["--json", "run.html"], "run.html: the page's name"),
        (["plot", "x.json"], "required: --out"),
        (["plot", "x.json", "--out", "x", "--format", "pdf"], "invalid choice: 'pdf'"),
    ],
)
def test_wrong_usage_is_status_2_with_what_and_why(arguments, said, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("pyproject.toml").write_text("")
    assert status(main, arguments) == 2
    assert said in capsys.readouterr().err


def no_gpu(*frameworks_without):
    return {
        name: {"gpu": None if name in frameworks_without else {"name": "A GPU"}}
        for name in ("torch", "paddle")
    }


@pytest.mark.parametrize(
    ("wanted", "said", "device"),
    [
        ("auto", no_gpu(), "gpu"),
        ("auto", no_gpu("torch", "paddle"), "cpu"),
        ("auto", no_gpu("paddle"), "cpu"),
        ("cpu", no_gpu(), "cpu"),
        ("gpu", no_gpu(), "gpu"),
        ("auto", {}, "cpu"),
    ],
)
def test_all_rows_run_on_one_device(wanted, said, device):
    assert frameworks.choose_device(wanted, said, lambda _: None) == device


def test_a_gpu_that_one_framework_lacks_is_said_or_refused():
    notes = []
    frameworks.choose_device("auto", no_gpu("paddle"), notes.append)
    assert notes == ["device cpu: paddle can use no GPU, and all rows run on one device"]
    with pytest.raises(frameworks.RunError, match="--device gpu: paddle can use none"):
        frameworks.choose_device("gpu", no_gpu("paddle"), notes.append)


def test_a_worker_gets_the_threads_and_switches_that_the_record_shows(monkeypatch):
    seen = {}
    monkeypatch.setattr(frameworks, "run_worker", lambda *job, **given: seen.update(given))
    frameworks.start("paddle", "peak", 3)
    environment = launch.environment(seen["threads"], seen["extra"])
    shown = record.context({}, "cpu", 3, cells.SWITCHES)["environment"]
    assert shown["OMP_NUM_THREADS"] == "3"
    assert shown.items() >= cells.SWITCHES.items()
    assert environment.items() >= shown.items()


CPUINFO = """processor	: 0
cpu family	: {family}
model		: {model}
model name	: AMD EPYC
flags		: fpu sse2 {flags}
"""


@pytest.mark.parametrize(
    ("family", "model", "flags", "shown"),
    [
        (25, 17, "avx avx2 avx512f avx512_bf16", "AMD EPYC (family 25, model 17, avx512_bf16)"),
        (25, 1, "avx avx2", "AMD EPYC (family 25, model 1, avx2)"),
        (21, 2, "avx", "AMD EPYC (family 21, model 2)"),
    ],
)
def test_two_processors_of_one_name_are_told_apart(
    family, model, flags, shown, monkeypatch, tmp_path
):
    made = tmp_path / "cpuinfo"
    made.write_text(CPUINFO.format(family=family, model=model, flags=flags))
    monkeypatch.setattr(launch, "Path", lambda _path: made)
    assert machine.cpu() == machine.system()["cpu"] == shown


class FakeWorkers:
    """Answers in place of worker processes, and the tasks that were asked for, in order."""

    def __init__(self, fail=()):
        self.asked = []
        self.fail = dict(fail)  # (implementation, round) or task -> message

    def start(self, framework, task, threads, **job):
        row = job.get("implementation", task)
        turn = sum(name == row for name in self.asked)
        self.asked.append(row)
        message = self.fail.get((row, turn)) or self.fail.get(task)
        if message:
            raise WorkerError(message)
        samples = dict.fromkeys(("device_ns", "enqueue_ns"), [1_000_000] * 5)
        samples["wall_ns"] = [1_000_000 + len(self.asked)] * 5
        return {
            "describe": {"versions": {}, "build": [], "switches": {}, "gpu": None},
            "peak": {"products": [{"n": 100, "device_ns": [200_000]}]},
            "reference": {},
            "measure": {
                "prepare_ns": 1,
                "first_call_ns": 1,
                "parity": {"max_abs": 0.0, "relative_l2": 0.0, "error": None},
                "samples": samples,
                "memory": {"max_rss_bytes": 1},
                "libraries": [],
            },
        }[task]


@pytest.fixture
def fake_workers(monkeypatch):
    def install(**arguments):
        fake = FakeWorkers(**arguments)
        monkeypatch.setattr(frameworks, "start", fake.start)
        monkeypatch.setattr(run, "make_weights", lambda *_: "resnet18.pth")
        return fake

    return install


TWO_ROUNDS = [*SMALL, "--rounds", "2", "--json", "run.json"]


def test_every_round_is_a_fresh_process_per_cell_in_abba_order(fake_workers, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    fake = fake_workers()
    assert main(TWO_ROUNDS) == 0
    products = ["peak", "peak"]
    # The reference is made when the first row needs it: a run that is short of time makes no more.
    first = [*products, "reference", *ALL]
    assert fake.asked == ["describe"] * 2 + [*first, *products, *ALL[::-1]]
    done = kinds.read(Path("run.json"))
    assert [[p["round"] for p in cell["processes"]] for cell in done["cells"]] == [[0, 1]] * 4
    assert Path("run.html").read_text() == page.render(done)


def test_a_page_that_is_there_stays_unless_forced(fake_workers, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    fake = fake_workers()
    Path("run.html").write_text("mine")
    assert main(TWO_ROUNDS) == 2  # before anything is measured
    assert "run.html: exists" in capsys.readouterr().err
    assert fake.asked == []
    assert Path("run.html").read_text() == "mine"
    assert main([*TWO_ROUNDS, "--force"]) == 0
    assert Path("run.html").read_text() != "mine"


def test_what_the_harness_itself_costs_is_in_the_record(fake_workers, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    fake_workers()
    assert main(TWO_ROUNDS) == 0
    done = kinds.read(Path("run.json"))
    assert rows.harness(done) > 1  # the references and the rest are beside the processes
    for cell in done["cells"]:
        for process in cell["processes"]:
            process["process_ns"] = 10
    done["settings"]["wall_ns"] = 100
    assert rows.harness(done) == 100 / 80
    del done["settings"]["wall_ns"]
    assert rows.harness(done) is None


def test_a_process_that_dies_ends_its_row_alone(fake_workers, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    fake = fake_workers(fail={("torchvision", 0): "exit status -11\nSegmentation fault"})
    assert main(TWO_ROUNDS) == 1
    assert Counter(fake.asked)["torchvision"] == 1
    assert Counter(fake.asked)["paddle_impl"] == 2
    (line,) = (ln for ln in capsys.readouterr().out.splitlines() if "torchvision " in ln)
    assert "FAILED Segmentation fault" in line
    assert "1.00" not in line


def test_a_failure_in_the_second_round_takes_the_speed_of_the_first(
    fake_workers, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    fake_workers(fail={("torchvision", 1): "killed"})
    assert main(TWO_ROUNDS) == 1
    row = rows.rows(kinds.read(Path("run.json")))[1]
    assert row["error"] == "killed"
    assert "median_ms" not in row


def test_a_reference_that_can_not_be_made_fails_its_rows(fake_workers, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    fake = fake_workers(fail={"reference": "out of memory"})
    assert main(TWO_ROUNDS) == 1
    assert not set(fake.asked) & set(ALL)
    assert {cell["error"] for cell in kinds.read(Path("run.json"))["cells"]} == {"out of memory"}


@pytest.mark.parametrize("said", ["CUDA out of memory. Tried", "Out of memory error on GPU 0"])
def test_where_the_memory_ends_the_batch_is_halved_and_it_is_said(
    said, fake_workers, monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    fake = fake_workers(fail={("torchvision", 1): said, ("torchvision", 2): said})
    assert main([*TWO_ROUNDS, "--batch", "8"]) == 0
    assert Counter(fake.asked)["torchvision"] == 4  # 8; then 8, 4 and 2
    ran = {cell["implementation"]: cell for cell in kinds.read(Path("run.json"))["cells"]}
    assert [ran[name]["ran_batch"] for name in ALL] == [8, 2, 8, 8]
    # What ran with the whole batch is another row: it is not pooled with the rest.
    assert [process["round"] for process in ran["torchvision"]["processes"]] == [1]
    (line,) = (ln for ln in capsys.readouterr().out.splitlines() if "torchvision " in ln)
    assert "out of memory: ran at batch 2" in line
    assert "2,000" in line  # images per second of 2 images in 1 ms, not of 8


def test_memory_that_ends_at_one_image_is_an_error(fake_workers, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    fake = fake_workers(fail={("torchvision", 0): "out of memory"})
    assert main(TWO_ROUNDS) == 1
    assert Counter(fake.asked)["torchvision"] == 1


def test_products_that_fail_cost_the_share_of_peak_alone(fake_workers, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    fake_workers(fail={"peak": "no"})
    assert main(TWO_ROUNDS) == 0
    assert rows.rows(kinds.read(Path("run.json")))[0]["share_of_peak"] is None


def test_a_missing_framework_fails_its_rows_and_says_how_to_get_it(
    fake_workers, monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    fake_workers()
    monkeypatch.setattr(frameworks, "is_installed", lambda name: name == "paddle")
    assert main(TWO_ROUNDS) == 1
    done = kinds.read(Path("run.json"))
    assert done["settings"]["reference"] == "paddle_impl"
    errors = {cell["implementation"]: cell["error"] for cell in done["cells"]}
    assert errors["paddle_impl"] is None
    assert "pip install 'resnet-parity[torch]'" in errors["torchvision"]
    monkeypatch.setattr(frameworks, "is_installed", lambda _: False)
    assert main([*TWO_ROUNDS, "--force"]) == 2
    assert "neither torch nor paddle is installed" in capsys.readouterr().err


def test_without_a_name_the_record_is_dated(fake_workers, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    fake_workers()
    assert main(SMALL) == 0
    shown, written = sorted(Path("build", "benchmarks").iterdir())
    assert kinds.read(written)["schema"] == 2
    assert (shown.suffix, written.suffix) == (".html", ".json")
    assert shown.stem == written.stem


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The real command over all four rows: (exit status, stdout, stderr, record)."""
    file = tmp_path_factory.mktemp("benchmarks") / "run.json"
    # -X importtime lists on stderr every module that the parent imports, and not its children's.
    command = [sys.executable, "-X", "importtime", "-m", "benchmarks", *SMALL]
    done = subprocess.run(
        [*command, "--format", "github", "--json", str(file)],
        cwd=ROOT,
        env={**os.environ, "FLAGS_stray": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, done.stderr, kinds.read(file)


def test_a_real_run_times_all_four_rows(real):
    out, err, done = real
    lines = [line for line in out.splitlines() if line.startswith("| resnet18")]
    assert [line.split("|")[3].strip() for line in lines] == ALL
    assert re.search(r"\[\d+/\d+\] resnet18 batch 1 paddle.vision:", err)  # peaks have steps too
    for row in rows.rows(done):
        assert row["error"] is None
        assert 0 < row["relative_l2"] <= 1e-4
        assert 0.1 < row["median_ms"] < 10_000
        assert row["samples"] >= 5
        assert row["share_of_peak"] > 0
        assert row["share_of_bandwidth"] > 0
        assert row["bound"] in ("compute", "memory")
    assert {entry["error"] for entry in done["peaks"]} == {None}
    assert all(entry["convolutions"] and entry["copies"] for entry in done["peaks"])


def test_the_parent_of_a_real_run_imports_neither_framework(real):
    _, err, _ = real
    imported = {line.rpartition("|")[2].strip() for line in err.splitlines() if "|" in line}
    assert "benchmarks.experiments.forward.measure" in imported
    assert not imported & {"torch", "torchvision", "paddle", "pytorch_impl", "paddle_impl"}


def test_a_real_record_says_what_it_was_measured_on(real):
    _, _, done = real
    context = done["context"]
    assert context["frameworks"]["torch"]["switches"]["cudnn.allow_tf32"] is False
    assert context["frameworks"]["torch"]["switches"]["threads"] == done["settings"]["threads"]
    assert context["environment"]["OMP_NUM_THREADS"] == str(done["settings"]["threads"])
    assert context["environment"]["FLAGS_cudnn_exhaustive_search"] == "0"
    assert "FLAGS_stray" not in context["environment"]
    assert context["frameworks"]["torch"]["versions"]["torchvision"]
    assert context["frameworks"]["paddle"]["versions"]["paddle"]
    assert done["settings"]["device"] == "cpu"
    for cell in done["cells"]:
        (process,) = cell["processes"]
        assert process["memory"]["max_rss_bytes"] > 1 << 26
        assert process["libraries"]
        assert process["stopped"] in ("noise", "time", "count")


def test_implementations_of_one_framework_differ_from_float64_alike(real):
    """torchvision with the same weights is our network bit for bit, and so in Paddle."""
    _, _, done = real
    ours, library, paddle_ours, paddle_library = (row["relative_l2"] for row in rows.rows(done))
    assert ours == library
    assert paddle_ours == paddle_library


def perturb(path):
    """A copy of a checkpoint with one weight of its eleven million wrong."""
    tensors = {name: array.copy() for name, array in weight_port.read(path).items()}
    tensors["conv1_weights"][0, 0, 0, 0] += 1
    copy = Path(path).with_name("perturbed.safetensors")
    weight_port.write(copy, tensors, force=True)
    return str(copy)


def test_one_wrong_weight_fails_the_row_and_no_other(monkeypatch, tmp_path, capsys):
    """Real workers in both frameworks; what is not under test is left out."""

    def draw(folder, model, *_):
        weight_port.write(folder / f"{model}.safetensors", seeded.draw(model, 0))
        return str(folder / f"{model}.safetensors")

    start = frameworks.start
    canned = {
        "describe": {"versions": {}, "build": [], "switches": {}, "gpu": None},
        "peak": {"products": []},
    }

    def start_with_wrong_weights(framework, task, threads, **job):
        if job.get("implementation") in ("torchvision", "paddle.vision"):
            job["weights"] = perturb(job["weights"])
        return canned.get(task) or start(framework, task, threads, **job)

    monkeypatch.setattr(run, "make_weights", draw)
    monkeypatch.setattr(frameworks, "start", start_with_wrong_weights)
    chosen = ["--implementations", "torchvision,paddle_impl,paddle.vision", "--format", "json"]
    assert main([*SMALL, *chosen, "--json", str(tmp_path / "run.json")]) == 1
    found = {row["implementation"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    done = {cell["implementation"]: cell for cell in kinds.read(tmp_path / "run.json")["cells"]}
    for name in ("torchvision", "paddle.vision"):
        assert found[name]["error"].startswith("parity: relative L2")
        assert found[name]["relative_l2"] > 1e-4
        assert found[name]["median_ms"] is None
        assert done[name]["processes"][0]["samples"] is None  # it was not even timed
    assert found["paddle_impl"]["error"] is None
    assert found["paddle_impl"]["median_ms"] > 0
