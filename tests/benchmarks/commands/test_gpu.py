"""All of a GPU in one go: what is missing, a reference that travels, and going on when cut off."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import weight_port
from benchmarks import kinds
from benchmarks.__main__ import main
from benchmarks.commands import gpu
from benchmarks.experiments.forward import worker as forward_worker
from benchmarks.grid import suites
from benchmarks.harness import frameworks, travelling
from benchmarks.records import marks
from parity import seeded
from tests.benchmarks.devices.test_timing import PASS, RecordingDevice
from weight_port.formats import safetensors

SUITE = """rounds = 1
[[cells]]
models = ["lenet5"]
implementations = ["pytorch_impl", "paddle_impl"]
batches = [2]
precisions = ["fp32"]
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a suite of the smallest network; Paddle is not there but where it is asked."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.toml").write_text(SUITE)
    return tmp_path


def test_the_whole_command_end_to_end_with_the_cpu_as_device(place, monkeypatch, capsys):
    """Paddle's reference; then, where there is torch alone, a call that is cut off, and another."""
    assert main(["gpu-reference", "--suite", "tiny.toml", "--out", "reference.safetensors"]) == 0
    there = frameworks.is_installed
    monkeypatch.setattr(frameworks, "is_installed", lambda name: name != "paddle" and there(name))
    command = ["gpu", "--suite", "tiny.toml", "--device", "cpu", "--out", "out"]
    command += ["--reference", "reference.safetensors"]
    assert main([*command, "--max-minutes", "0.0001"]) == 1
    cut_off = kinds.read(Path("out", "forward.json"))
    assert cut_off[marks.INCOMPLETE] == {"done": 1, "of": 2}
    shown = capsys.readouterr()
    assert "NOT COMPLETE: 1 of 2" in shown.out
    assert shown.err.count("paddle_impl: not installed; its rows are left out") == 1
    assert main(command) == 0
    record = kinds.read(Path("out", "forward.json"))
    assert marks.INCOMPLETE not in record
    assert record["settings"]["reference"] == "paddle_impl"
    assert set(record["context"]["frameworks"]) == {"torch"}
    ((process,),) = (cell["processes"] for cell in record["cells"])
    assert 0 < process["parity"]["relative_l2"] < 1e-5  # two frameworks, and not the same bits
    files = list(Path("out").iterdir())
    assert {file.name for file in files} == {"forward.json", "forward.html"}
    assert len(files) <= 8
    assert all(file.stat().st_size < gpu.LARGEST for file in files)
    text = capsys.readouterr().out
    assert "against paddle_impl in float64" in text
    assert text.split("verdict")[-1].split()[-1] == "equal"


# -- the order of calls


def test_the_first_pass_is_compared_before_one_is_timed_and_the_last_one_after(monkeypatch):
    device = RecordingDevice()
    device.memory_peaks = dict
    logits = np.ones((1, 10))
    monkeypatch.setattr(forward_worker, "load_array", lambda *_: logits)

    def forward():
        device.step()
        return logits.astype(np.float32)

    def to_array(output):
        device.calls.append("compare")
        return output

    plan = {"warmup": 1, "min_count": 2, "min_seconds": 0.0}
    job = {"reference": "x", "batch": 1, "precision": "fp32", "plan": plan}
    result = forward_worker.time_forward(lambda: forward, to_array, device, job)
    first, last = ["synchronise", "run", "compare"], ["run", "compare"]
    assert device.calls == [*first, "run", *PASS * 2, *last]
    assert len(result["samples"]["device_ns"]) == 2


# -- what is timed


def test_the_most_telling_rows_come_first():
    settings, grid = suites.read(gpu.SUITE)
    assert settings["device"] == "gpu"
    ours = [cell for cell in grid if cell.implementation == "pytorch_impl"]
    first = [(cell.mode, cell.batch, cell.precision) for cell in ours[:6]]
    precisions = ("fp32", "tf32", "amp-fp16", "amp-bf16", "fp16", "bf16")
    assert first == [("eager", 8, precision) for precision in precisions]
    assert {cell.model for cell in grid} == {"resnet50"}
    assert {cell.batch for cell in ours} == {1, 8, 32, 128, 256}
    assert {"eager", "cuda-graph", "compile", "max-autotune"} == {cell.mode for cell in ours}
    assert {cell.implementation for cell in grid} > {"torchvision", "timm", "paddle_impl"}
    assert [cell.mode for cell in grid].index("max-autotune") == len(grid) - 3  # minutes each


def test_rows_of_what_is_not_there_are_left_out_and_said(monkeypatch, capsys):
    monkeypatch.setattr(frameworks, "is_installed", lambda name: name == "torch")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "timm" else 1)
    left = gpu._there(suites.read(gpu.SUITE)[1])
    assert {cell.implementation for cell in left} == {"pytorch_impl", "torchvision"}
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in said] == ["timm", "paddle_impl", "paddle.vision"]


@pytest.mark.parametrize("name", ["torch", "jsonschema", "tabulate"])
def test_what_is_missing_is_said_by_name_before_anything_starts(name, place, monkeypatch, capsys):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda asked: None if asked == name else real(asked)
    )
    monkeypatch.setattr(frameworks, "start", None)
    assert main(["gpu", "--out", "out"]) == 2
    assert f"not here: {name}; `make gpu-wheels`" in capsys.readouterr().err
    assert not Path("out").exists()


def test_an_old_torch_is_refused_unless_it_is_another_interpreter_s(monkeypatch):
    monkeypatch.setattr(gpu.metadata, "version", lambda name: "2.5.1+cu124")
    with pytest.raises(frameworks.RunError, match=r"not here: torch 2\.6 or newer"):
        gpu.check_environment()
    gpu.check_environment("elsewhere/python")


def test_another_python_is_refused(monkeypatch):
    monkeypatch.setattr(gpu, "NEWEST", (3, 9))
    with pytest.raises(frameworks.RunError, match=r"Python 3\.10 to 3\.9 \(this is 3\."):
        gpu.check_environment()


def test_a_suite_of_several_networks_has_no_one_reference(place, capsys):
    Path("two.toml").write_text('[[cells]]\nmodels = ["resnet18", "resnet34"]\n')
    assert main(["gpu-reference", "--suite", "two.toml", "--out", "x"]) == 2
    assert "a reference is of one network in one size" in capsys.readouterr().err


# -- the reference


@pytest.fixture
def reference(tmp_path):
    """A reference of a network with batch norms, whose logits and statistics nobody computed."""
    drawn = seeded.draw("resnet18", 3)
    tensors = {name: drawn[name] + 0.5 for name in travelling._statistics("resnet18")}
    pictures = travelling._images("resnet18", 2, 64, 3)
    about = {
        "model": "resnet18",
        "size": 64,
        "seed": 3,
        "weights": travelling.digest({**drawn, **tensors}),
        "batches": {"2": travelling.digest({"images": pictures})},
    }
    return tmp_path / "r.safetensors", about, {**tensors, "logits 2": np.ones((2, 1000))}


def write(path, about, tensors):
    with open(path, "wb") as stream:
        safetensors.write(stream, tensors, {travelling._KEY: json.dumps(about)})


def test_weights_and_images_are_drawn_anew_and_the_statistics_and_logits_travel(
    reference, tmp_path
):
    path, about, tensors = reference
    write(path, about, tensors)
    files = travelling.files(path, "resnet18", 2, 64, tmp_path)
    weights = weight_port.read(files.weights)
    for name, array in seeded.draw("resnet18", 3).items():
        assert np.array_equal(weights[name], tensors.get(name, array)), name
    assert (weight_port.read(files.reference)["logits"] == 1).all()
    assert weight_port.read(files.inputs)["images"].shape == (2, 3, 64, 64)
    whole = sum(array.nbytes for array in weights.values())
    assert path.stat().st_size < whole / 100


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda about, tensors: about.update(weights="0" * 64), "its weights are not those that"),
        (lambda about, tensors: about.update(seed=4), "its weights are not those that"),
        (lambda about, tensors: about["batches"].update({"2": "0"}), "its images of batch 2 are"),
        (lambda about, tensors: about["batches"].pop("2"), "nothing of resnet18, 64 px, batch 2"),
        (lambda about, tensors: about.update(model="resnet34"), "nothing of resnet18, 64 px"),
        (lambda about, tensors: about.update(size=224), "nothing of resnet18, 64 px, batch 2"),
        (
            lambda about, tensors: tensors.update({"bn_conv1_mean": np.zeros(64, np.float32)}),
            "its weights are not those that",
        ),
        (
            lambda about, tensors: tensors["bn2a_branch2a_variance"].__setitem__(0, np.nan),
            "its weights are not those that",
        ),
    ],
)
def test_a_reference_of_something_else_is_refused(change, said, reference, tmp_path):
    path, about, tensors = reference
    change(about, tensors)
    write(path, about, tensors)
    with pytest.raises(travelling.TravelError, match=said):
        travelling.files(path, "resnet18", 2, 64, tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_file_that_is_no_reference_is_refused_with_the_way_out(content, place, capsys):
    if content is not None:
        Path("r").write_bytes(content)
    assert main(["gpu", "--out", "out", "--reference", "r"]) == 2
    said = capsys.readouterr().err
    assert "r: no reference" in said or "r: there is no such file" in said
    assert "python -m benchmarks gpu-reference" in said
