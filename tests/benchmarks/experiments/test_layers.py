"""A network's steps, one by one: what is visited, compared, timed, summed up and shown."""

from __future__ import annotations

import copy
import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

import weight_port
from benchmarks import kinds
from benchmarks.__main__ import main
from benchmarks.devices import device_cpu, timing
from benchmarks.experiments.layers import measure as layers
from benchmarks.experiments.layers import rows as layers_rows
from benchmarks.experiments.layers import steps as layers_worker
from benchmarks.experiments.layers import steps_paddle as paddle_layers
from benchmarks.experiments.layers import steps_torch as torch_layers
from benchmarks.experiments.layers import table as layers_table
from benchmarks.harness import frameworks, worker
from benchmarks.records import record, tables
from benchmarks.roofline import costs
from parity import seeded
from parity.workers import outputs
from tests.helpers.benchmark_records import small_record
from tests.helpers.bounds import excess

GOOD = {"max_abs": 1e-6, "relative_l2": 1e-6, "error": None}
BAD = {"max_abs": 1.0, "relative_l2": 0.5, "error": "parity: relative L2 5.0e-01 is over 1e-04"}
ORDER = costs.order("resnet18")
WALKED = ("resnet18", "resnet50", "plain18", "resnet18_text")


def side(framework, rounds, us=10, conv_us=1000):
    """Convolutions take as long as is said, all other steps 10 µs; the whole pass 30 ms."""
    times = {"conv": conv_us}
    steps = [
        {"name": name, "kind": kind, "parity": GOOD, "device_ns": [times.get(kind, us) * 1000] * 3}
        for name, kind in ORDER
    ]
    processes = [
        {"round": n, "parity": GOOD, "device_ns": [30_000_000] * 4, "steps": copy.deepcopy(steps)}
        for n in range(rounds)
    ]
    ours = layers.IMPLEMENTATIONS[framework]
    return {"framework": framework, "implementation": ours, "error": None, "processes": processes}


def make(rounds=3):
    """Paddle's convolutions take 1.2 times torch's."""
    passes = small_record()
    peaks = passes["peaks"]
    peaks[0]["copies"] = [{"bytes": 1_000_000, "device_ns": [100_000]}]  # 20 GB/s, 10 GFLOP/s
    settings = {"model": "resnet18", "batch": 2, "size": 64, "threads": 2, "device": "cpu"}
    settings |= {"rounds": rounds, "seed": 0, "reference": "pytorch_impl", "compared": 1}
    return {
        "schema": 1,
        "kind": "layers",
        "context": passes["context"],
        "settings": {**settings, "step_plan": {}, "pass_plan": {}},
        "peaks": peaks,
        "sides": [side("torch", rounds), side("paddle", rounds, conv_us=1200)],
    }


def by_key(made):
    return {(row["name"], row["kind"]): row for row in layers_rows.rows(made)}


def test_a_row_has_both_frameworks_times_shares_and_difference():
    found = by_key(make())
    assert list(found) == ORDER
    row = found["conv1", "conv"]
    assert (row["torch_ms"], row["paddle_ms"]) == (1.0, 1.2)
    assert row["difference_ms"] == pytest.approx(0.2)
    assert row["ratio"] == pytest.approx(1.2)
    step = next(step for step in costs.steps("resnet18", 64, 2) if step.name == "conv1")
    assert (row["flops"], row["bytes"]) == (step.flops, step.bytes)
    assert row["torch_gflops"] == pytest.approx(step.flops / 1e6)
    assert row["torch_share_of_roof"] == pytest.approx(step.flops / 1e6 / 10)
    assert (row["bound"], row["error"]) == ("compute", None)
    relu = found["bn_conv1", "relu"]
    assert relu["bound"] == "memory"
    assert relu["torch_share_of_roof"] == pytest.approx(relu["bytes"] / 1e4 / 20)


def test_verdicts_need_five_processes():
    assert "verdict" not in by_key(make(4))["conv1", "conv"]
    found = by_key(make(5))
    assert found["conv1", "conv"]["verdict"] == "slower"
    assert found["fc", "linear"]["verdict"] == "no difference"
    assert "verdict" not in tables.grid(layers_table.tables(make(4))[0], "simple")
    assert "verdict" in tables.grid(layers_table.tables(make(5))[0], "simple")


def test_what_differs_most_comes_first():
    made = make()
    for process in made["sides"][1]["processes"]:
        steps = {(step["name"], step["kind"]): step for step in process["steps"]}
        steps["res3a", "add"]["device_ns"] = [9_000_000] * 3  # slower in Paddle
        steps["res4a_branch2a", "conv"]["device_ns"] = [100_000] * 3  # and here in torch
    first = [row["name"] for row in layers_rows.by_difference(layers_rows.rows(made))]
    assert first[:3] == ["res3a", "res4a_branch2a", "conv1"]
    lines = kinds.render(made, "simple", sort="difference").splitlines()
    assert lines[2].startswith("res3a ")
    assert kinds.render(made, "simple").splitlines()[2].startswith("conv1 ")


def test_kinds_add_up_to_all_steps_and_the_rest_lies_between():
    made = make()
    found = {row["kind"]: row for row in layers_rows.totals(made)}
    ran = {kind for _, kind in costs.order("resnet18")}
    ordered = [kind for kind in costs.KINDS if kind in ran]
    assert list(found) == [*ordered, "all steps", "whole pass"]
    assert {"conv", "batch_norm", "relu", "max_pool", "add", "avg_pool", "linear"} == ran
    assert found["conv"]["steps"] == 20
    assert found["conv"]["paddle_ms"] == pytest.approx(24)
    others = len(ORDER) - 20
    assert found["all steps"]["torch_ms"] == pytest.approx(20 + others * 0.01)
    for name in ("flops", "bytes", "steps", "torch_ms", "paddle_ms", "difference_ms"):
        parts = sum(found[kind][name] for kind in ordered)
        assert found["all steps"][name] == pytest.approx(parts)
    whole = found["whole pass"]
    assert whole["torch_between_ms"] == pytest.approx(30 - 20 - others * 0.01)
    assert whole["paddle_between_ms"] == pytest.approx(30 - 24 - others * 0.01)
    least = sum(
        max(step.flops / 10, step.bytes / 20)
        for step in costs.steps("resnet18", 64, 2)
        if step.kind == "conv"
    )
    assert found["conv"]["torch_share_of_roof"] == pytest.approx(least / 20e6)


def fail_step(made, index=2):
    for process in made["sides"][1]["processes"]:
        process["steps"][index] |= {"parity": BAD, "device_ns": None}
    return made


def test_a_step_that_failed_has_its_error_and_no_time_and_no_sum_hides_it():
    made = fail_step(make())
    kinds.check(made, "x.json")
    name, kind = ORDER[2]
    row = by_key(made)[name, kind]
    assert row["error"] == f"paddle: {BAD['error']}"
    assert "paddle_ms" not in row
    assert "difference_ms" not in row
    totals = {row["kind"]: row for row in layers_rows.totals(made)}
    assert "paddle_ms" not in totals[kind]
    assert "paddle_ms" not in totals["all steps"]
    assert "paddle_between_ms" not in totals["whole pass"]
    assert totals["all steps"]["torch_ms"] > 0
    (line,) = (x for x in kinds.render(made, "github").splitlines() if "FAILED" in x)
    assert "5.0e-01" in line
    assert layers_rows.by_difference(layers_rows.rows(made))[-1]["error"] == row["error"]


def test_a_framework_that_failed_leaves_the_other_one():
    made = make()
    made["sides"][1] |= {"error": "killed\nSegmentation fault", "processes": []}
    kinds.check(made, "x.json")
    assert all(row["torch_ms"] > 0 for row in layers_rows.rows(made))
    text = kinds.render(made, "simple")
    assert "FAILED Segmentation fault" in text
    assert "Paddle ms" not in text


def test_without_peaks_there_is_no_roof():
    made = make()
    made["peaks"] = []
    text = kinds.render(made, "simple")
    assert "roof" not in text
    assert "bound" not in text


def lose_step(made):
    del made["sides"][0]["processes"][1]["steps"][5]


def swap_steps(made):
    steps = made["sides"][0]["processes"][1]["steps"]
    steps[3], steps[4] = steps[4], steps[3]


def time_a_failure(made):
    fail_step(made)["sides"][1]["processes"][0]["steps"][2]["device_ns"] = [5]


def lose_a_time(made):
    made["sides"][1]["processes"][0]["steps"][2]["device_ns"] = []


def time_a_pass_that_failed(made):
    made["sides"][1]["processes"][0]["parity"] = BAD


def no_processes(made):
    made["sides"][1]["processes"] = []


def stand_still(made):
    made["sides"][1]["processes"][0]["steps"][2]["device_ns"] = [0]


def one_side(made):
    del made["sides"][0]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lose_step, r"sides\[0\]: its steps are not those of the network"),
        (swap_steps, r"sides\[0\]: its steps are not those of the network"),
        (time_a_failure, r"sides\[1\]: a time without parity"),
        (lose_a_time, r"sides\[1\]: .*parity without a time"),
        (time_a_pass_that_failed, r"sides\[1\]: a time without parity"),
        (no_processes, r"sides\[1\]: no error, and no processes"),
        (stand_still, r"device_ns\[0\]: 0, but its minimum"),
        (one_side, r"record\.sides: 1 items, but its minItems"),
    ],
)
def test_a_spoilt_record_is_refused(spoil, said):
    made = make()
    kinds.check(made, "x.json")
    spoil(made)
    with pytest.raises(record.RecordError, match=said):
        kinds.check(made, "x.json")


def test_show_renders_every_format_in_either_order(tmp_path, capsys):
    file = tmp_path / "layers.json"
    kinds.write(file, make(5))
    texts = {}
    for style in tables.FORMATS:
        assert main(["show", str(file), "--format", style]) == 0
        texts[style] = capsys.readouterr().out
    assert texts["github"].startswith("| layer")
    assert json.loads(texts["json"])["totals"][0]["kind"] == "conv"
    found = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert [(row["name"], row["kind"]) for row in found] == ORDER
    assert main(["show", str(file), "--sort", "difference", "--format", "csv"]) == 0
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["kind"] for row in found[:20]} == {"conv"}


def test_other_records_have_no_order_to_choose(tmp_path, capsys):
    kinds.write(tmp_path / "run.json", small_record())
    assert main(["show", str(tmp_path / "run.json"), "--sort", "difference"]) == 2
    assert "--sort is for records of layers, not of forward" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "required: MODEL"),
        (["resnet99"], "invalid choice: 'resnet99'"),
        (["resnet18", "--batch", "0"], "'0' must be a whole number, at least 1"),
        (["resnet18", "--sort", "name"], "invalid choice: 'name'"),
    ],
)
def test_wrong_usage_is_status_2(arguments, said, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["layers", *arguments])
    assert said in capsys.readouterr().err


# -- the worker's side, with a network of two steps


class Toy:
    """x -> 2x -> 2x + 1, float32; ``wrong`` is a step that gives something else."""

    def __init__(self, wrong=None, logits=1.0):
        self.wrong, self.logits, self.calls = wrong, logits, []

    def step(self, name):
        self.calls.append(name)
        values = {"double": 2.0, "one": 3.0}
        return np.full((2, 4), values[name] + (name == self.wrong), np.float32)

    def forward(self):
        self.calls.append("pass")
        return np.full((2, 4), 3.0 * self.logits, np.float32)

    def network(self):
        def walk(visit):
            for name in ("double", "one"):
                visit(name, "conv", lambda name=name: self.step(name))

        return layers_worker.Network(self.forward, walk, lambda y: y)


@pytest.fixture
def toy_job(tmp_path, monkeypatch):
    """A job whose references are those of the toy network."""
    quick = timing.Plan(0, 2, 0.0)
    monkeypatch.setattr(layers_worker, "STEP_PLAN", quick)
    monkeypatch.setattr(layers_worker, "PASS_PLAN", quick)
    monkeypatch.setattr(layers_worker.gc, "freeze", lambda: None)
    worker.save_array(tmp_path / "logits", "logits", np.full((2, 4), 3.0))
    toy = Toy().network()
    exact = layers_worker.Network(toy.forward, toy.walk, lambda y: y.astype(np.float64))
    layers_worker.keep(exact, str(tmp_path / "steps").rstrip("/"))
    return {"reference": str(tmp_path / "logits"), "steps": str(tmp_path / "steps")}


@pytest.fixture(autouse=True)
def _steps_folder(tmp_path):
    (tmp_path / "steps").mkdir()


def test_steps_are_compared_and_timed_between_two_halves_of_the_pass(toy_job):
    toy = Toy()
    found = layers_worker.measure_steps(toy.network(), device_cpu, toy_job)
    assert [step["name"] for step in found["steps"]] == ["double", "one"]
    assert all(step["parity"]["error"] is None for step in found["steps"])
    assert [len(step["device_ns"]) for step in found["steps"]] == [4, 4]
    assert len(found["device_ns"]) == 4
    walk = ["double"] * 4 + ["one"] * 4  # compared, timed twice, compared again
    assert toy.calls == ["pass"] * 3 + walk * 2 + ["pass"] * 3


def test_a_wrong_step_is_not_timed_and_the_others_are(toy_job):
    toy = Toy(wrong="one")
    found = layers_worker.measure_steps(toy.network(), device_cpu, toy_job)
    double, one = found["steps"]
    assert one["parity"]["error"].startswith("parity: relative L2")
    assert (one["device_ns"], toy.calls.count("one")) == (None, layers_worker.WALKS)
    assert double["device_ns"]


def test_a_step_that_is_wrong_in_one_walk_alone_has_no_time(toy_job):
    toy = Toy()
    network = toy.network()

    def walk(visit):
        network.walk(visit)
        toy.wrong = "double"

    found = layers_worker.measure_steps(
        layers_worker.Network(toy.forward, walk, network.to_array), device_cpu, toy_job
    )
    double, one = found["steps"]
    assert (double["parity"]["error"] is None, double["device_ns"]) == (False, None)
    assert one["device_ns"]


def test_wrong_logits_stop_everything(toy_job):
    toy = Toy(logits=1.001)
    found = layers_worker.measure_steps(toy.network(), device_cpu, toy_job)
    assert found["parity"]["error"].startswith("parity: relative L2")
    assert (found["device_ns"], found["steps"], toy.calls) == (None, [], ["pass"])


def test_a_step_without_a_reference_fails(toy_job):
    outputs.path_of(Path(toy_job["steps"]), layers_worker.file_name("one", "conv")).unlink()
    found = layers_worker.measure_steps(Toy().network(), device_cpu, toy_job)
    assert found["steps"][1]["parity"]["error"] == "parity: the reference has no such step"


# -- both frameworks


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Files of weights of a basic and a bottleneck network, by model."""
    folder = tmp_path_factory.mktemp("weights")
    for model in WALKED:
        weight_port.write(folder / f"{model}.safetensors", seeded.draw(model, 0))
    return {model: folder / f"{model}.safetensors" for model in WALKED}


def walks(model, path, images):
    """In float64: framework -> (logits of a pass, of a walk that repeats each step, the steps)."""
    import paddle
    import torch

    import paddle_impl
    import pytorch_impl

    found = {}
    with torch.no_grad(), paddle.no_grad():
        torch_model = pytorch_impl.load(path).double()
        paddle_model = paddle_impl.load(path)
        paddle_model.to(dtype="float64")
        sides = {
            "torch": (torch_layers, torch_model, torch.from_numpy(images)),
            "paddle": (paddle_layers, paddle_model, paddle.to_tensor(images)),
        }
        for name, (module, network, x) in sides.items():
            steps = {}

            def visit(layer, kind, step, steps=steps):
                steps[layer, kind] = step().numpy().copy()
                step()
                step()

            plain = network(x).numpy().copy()
            kept = {}
            last = network.register_forward_hook if name == "torch" else None
            hook = (last or network.register_forward_post_hook)(
                lambda _m, _i, y, kept=kept: kept.update(logits=y.numpy().copy())
            )
            module.walk(network, x, visit)
            hook.remove()
            found[name] = (plain, kept["logits"], steps, network(x).numpy())
    return found


@pytest.mark.parametrize("model", WALKED)
@pytest.mark.numerical
def test_both_frameworks_visit_the_same_steps_with_the_same_outputs(model, drawn):
    """And a walk changes nothing in the pass that it goes with, though steps are repeated."""
    images = np.random.default_rng(0).standard_normal((2, 3, 64, 64))
    found = walks(model, drawn[model], images)
    for plain, walked, steps, after in found.values():
        assert list(steps) == costs.order(model)
        assert np.array_equal(plain, walked)
        assert np.array_equal(plain, after)
        assert np.array_equal(steps["fc", "linear"], plain)
    for key, ours in found["torch"][2].items():
        theirs = found["paddle"][2][key]
        assert ours.shape == theirs.shape, key
        assert np.linalg.norm(ours - theirs) <= 1e-9 * np.linalg.norm(ours), key
        if key[1] == "relu":
            assert ours.min() == 0
    values = [
        found["torch"][2][name, "add"].size for name, kind in costs.order(model) if kind == "add"
    ]
    sums = [step for step in costs.steps(model, 64, 2) if step.kind == "add"]
    assert [step.flops for step in sums] == values


@pytest.mark.numerical
def test_channels_last_is_what_every_step_gets(drawn, tmp_path):
    """Parity can't show it: the numbers are the same."""
    import paddle
    import torch

    from benchmarks.experiments.layers import steps_paddle as paddle_layers
    from benchmarks.experiments.layers import steps_torch as torch_layers

    images = np.random.default_rng(0).standard_normal((2, 3, 64, 64), dtype=np.float32)
    worker.save_array(tmp_path / "images.safetensors", "images", images)
    job = {"weights": str(drawn["resnet18"]), "inputs": str(tmp_path / "images.safetensors")}
    arrays, shapes, strided = {}, {}, {}
    with torch.no_grad(), paddle.no_grad():
        for layout in ("NCHW", "NHWC"):
            sides = (
                torch_layers._network(job, "cpu", torch.float32, layout),
                paddle_layers._network(job, "float32", layout),
            )

            def visit(name, kind, step, layout=layout, sides=sides):
                output = step()
                if isinstance(output, torch.Tensor):
                    order = torch.channels_last
                    strided[layout, name, kind] = output.is_contiguous(memory_format=order)
                    arrays[layout, "torch", name, kind] = sides[0].to_array(output).copy()
                else:
                    shapes[layout, name, kind] = output.shape
                    arrays[layout, "paddle", name, kind] = sides[1].to_array(output).copy()

            for network in sides:
                network.walk(visit)
        right: dict[tuple[str, str], np.ndarray] = {}
        reference = torch_layers._network(job, "cpu", torch.float64, "NCHW")
        reference.walk(lambda name, kind, step: right.update({(name, kind): step().numpy().copy()}))
    assert shapes["NCHW", "res3a", "add"] == [2, 128, 8, 8]
    assert shapes["NHWC", "res3a", "add"] == [2, 8, 8, 128]
    assert strided["NHWC", "res3a", "add"]
    assert not strided["NCHW", "res3a", "add"]
    for layout, side, name, kind in list(arrays):
        found, other = arrays[layout, side, name, kind], arrays["NCHW", "torch", name, kind]
        assert excess(found, other, right[name, kind]) <= 1, (layout, side, name, kind)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_real_run_has_every_step_in_both_frameworks(layout, monkeypatch, tmp_path, capsys):
    def draw(folder, model, *_):
        weight_port.write(folder / f"{model}.safetensors", seeded.draw(model, 0))
        return str(folder / f"{model}.safetensors")

    start = frameworks.start
    canned = {
        "describe": {"versions": {}, "build": [], "switches": {}, "gpu": None},
        "peak": {"products": [], "convolutions": [], "copies": []},
    }
    asked = []

    def answer(framework, task, threads, **job):
        asked.append((framework, task))
        return canned.get(task) or start(framework, task, threads, **job)

    monkeypatch.setattr(layers, "make_weights", draw)
    monkeypatch.setattr(frameworks, "start", answer)
    file = tmp_path / "layers.json"
    small = ["resnet18", "--size", "64", "--rounds", "1", "--format", "json", "--layout", layout]
    assert main(["layers", *small, "--json", str(file)]) == 0
    assert asked[-4:] == [(f, t) for f in ("torch", "paddle") for t in ("peak", "layers")]
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert [(row["name"], row["kind"]) for row in steps] == ORDER
    for row in steps:
        for name in ("torch", "paddle"):
            assert row[f"{name}_ms"] > 0
            assert row[f"{name}_relative_l2"] <= 1e-4
    made = kinds.read(file)
    assert (made["kind"], made["settings"]["layout"]) == ("layers", layout)
    assert f"eager float32, {layout}, batch 1" in layers_table.notes(made)[1]


def test_rounds_go_forward_and_backward_and_a_dead_framework_runs_no_more(monkeypatch):
    asked = []

    def answer(framework, task, threads, **job):
        asked.append((framework, task))
        if task == "layers" and framework == "paddle":
            raise frameworks.WorkerError("killed")
        process = side("torch", 1)["processes"][0]
        del process["round"]  # which the parent adds
        said = {"versions": {}, "build": [], "switches": {}, "gpu": None}
        replies = {"describe": said, "peak": {"products": []}, "layers": process}
        return replies.get(task, {})

    monkeypatch.setattr(frameworks, "start", answer)
    monkeypatch.setattr(layers, "make_weights", lambda *_: "resnet18.pth")
    options = layers.Options("resnet18", 2, 64, 2, "cpu", 3, 0)
    made = layers.measure(options, lambda _: None)
    kinds.check(made, "x.json")
    ran = [framework for framework, task in asked if task == "layers"]
    assert ran == ["torch", "paddle", "torch", "torch"]
    assert [process["round"] for process in made["sides"][0]["processes"]] == [0, 1, 2]
    assert made["sides"][1]["error"] == "killed"
