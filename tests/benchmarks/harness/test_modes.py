"""What is timed and how: modes, precisions, layouts, suites, and fallbacks that say nothing."""

from __future__ import annotations

import json

import numpy as np
import paddle
import pytest
import timm
import torch
import torchvision

import weight_port
from benchmarks.__main__ import main
from benchmarks.experiments.forward import rows
from benchmarks.grid import cells, suites
from benchmarks.harness import frameworks, inputs, models_torch, worker
from benchmarks.harness import modes_paddle as paddle_modes
from benchmarks.workers import worker_paddle as paddle_worker
from benchmarks.workers import worker_torch as torch_worker
from parity import seeded
from parity.workers import launch
from tests.helpers.benchmark_records import small_record, steady_cell
from tests.helpers.bounds import spread
from weight_port.conversion import guard


def test_every_mode_of_the_table_is_a_function_of_its_framework():
    from benchmarks.harness import modes_torch
    from benchmarks.workers import worker_engines

    assert set(modes_torch.MODES) == set(cells.MODES["torch"])
    assert set(paddle_modes.MODES) == set(cells.MODES["paddle"])
    engines = {name for name, of in cells.IMPLEMENTATIONS.items() if of == "engines"}
    assert set(worker_engines.STEPS) == engines
    assert set(modes_torch.OPTIMIZED) < set(modes_torch.MODES)
    assert set(paddle_modes.OPTIMIZED) < set(paddle_modes.MODES)


def test_a_grid_has_only_what_exists():
    both = ["pytorch_impl", "paddle_impl", "onnxruntime"]
    modes = ["defaults", "eager", "onednn", "compile"]
    found = cells.grid(["resnet50"], [1], both, 224, [2], modes, ["fp32", "bf16"], ["NCHW", "NHWC"])
    assert len(found) == len(set(found))
    by_mode = {(c.implementation, c.mode, c.precision, c.layout, c.threads) for c in found}
    assert ("pytorch_impl", "onednn", "fp32", "NCHW", 2) not in by_mode
    assert ("paddle_impl", "onednn", "bf16", "NCHW", 2) in by_mode
    assert ("paddle_impl", "onednn", "fp32", "NHWC", 2) not in by_mode
    assert ("onnxruntime", "engine", "fp32", "NCHW", 2) in by_mode
    # The defaults are those of a user who sets nothing: no threads, one layout, one precision.
    assert {row for row in by_mode if row[1] == "defaults"} == {
        ("pytorch_impl", "defaults", "fp32", "NCHW", 0),
        ("paddle_impl", "defaults", "fp32", "NCHW", 0),
    }
    for cell in found:
        assert cell.rung == cells.MODES[cell.framework][cell.mode].rung


@pytest.mark.parametrize(
    ("mode", "precision", "device", "there"),
    [
        ("eager", "fp32", "cpu", True),
        ("eager", "tf32", "cpu", False),
        ("eager", "tf32", "gpu", True),
        ("cuda-graph", "fp32", "cpu", False),
        ("openvino", "fp32", "gpu", False),
    ],
)
def test_some_rows_exist_on_one_device_alone(mode, precision, device, there):
    cell = cells.Cell("resnet50", 1, "pytorch_impl", 224, 2, mode=mode, precision=precision)
    assert cells.runs_on(cell, device) is there


def test_tf32_is_switched_on_for_its_label_alone():
    for precision in cells.PRECISIONS:
        found = launch.environment(2, frameworks.extra_environment(2, precision))
        on = precision == "tf32"
        assert found["FLAGS_cudnn_allow_tf32"] == found["FLAGS_cublas_allow_tf32"] == str(int(on))
        assert found.get("NVIDIA_TF32_OVERRIDE") == (None if on else "0")


def test_defaults_set_no_threads_and_an_allocator_its_variables(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = launch.environment(2, frameworks.extra_environment(0, allocator="keep"))
    assert not {"OMP_NUM_THREADS", "MKL_NUM_THREADS"} & set(found)
    assert found["MALLOC_MMAP_MAX_"] == "0"
    assert launch.environment(2, frameworks.extra_environment(2))["OMP_NUM_THREADS"] == "2"


LOGITS = np.random.default_rng(0).standard_normal((4, 1000))


def rounded(bits: int) -> np.ndarray:
    """The logits as a network that rounds to so many bits would leave them."""
    noise = np.random.default_rng(1).standard_normal(LOGITS.shape)
    return (LOGITS * (1 + noise * 2.0**-bits)).astype(np.float32)


@pytest.mark.parametrize(
    ("label", "bits", "said"),
    [
        ("fp32", 20, None),
        ("fp32", 8, "over 1e-04"),
        ("bf16", 7, None),
        ("amp-bf16", 7, None),
        ("bf16", 2, "over 1e-01"),
        ("bf16", 20, "bf16 was asked, but relative L2"),
        ("amp-bf16", 20, "amp-bf16 was asked, but relative L2"),
        ("fp16", 10, None),
        ("amp-fp16", 20, "did not say so"),
        ("tf32", 10, None),
        ("tf32", 20, "did not say so"),
    ],
)
def test_a_precision_is_neither_coarser_nor_finer_than_its_label(label, bits, said):
    error = worker.check(rounded(bits), LOGITS, label)["error"]
    assert (error is None) if said is None else (said in error)


def test_every_label_has_its_rounding():
    assert set(worker.ROUNDING) == set(cells.PRECISIONS)


@pytest.mark.parametrize("name", suites.names())
def test_the_suites_that_come_along_can_be_read(name):
    settings, found = suites.read(name)
    assert set(settings) == set(suites.SETTINGS)
    assert found
    assert len(found) == len(set(found))
    if settings["device"] != "auto":
        assert any(cells.runs_on(cell, settings["device"]) for cell in found)
    if settings["device"] == "cpu":
        assert all(cells.runs_on(cell, "cpu") for cell in found)


def test_the_suites_are_those_that_are_documented():
    known = "cifar classics cpu gpu gpu-worth modes paper quick resnets torch-gpu"
    assert suites.names() == known.split()


def test_every_network_is_in_one_of_the_suites_of_networks():
    """Once in each of our implementations, and in every library that has it."""
    found = [cell for name in ("cifar", "classics", "resnets") for cell in suites.read(name)[1]]
    wanted = {(library, name) for library, names in cells.LIBRARIES.items() for name in names}
    wanted |= {(ours, name) for ours in ("pytorch_impl", "paddle_impl") for name in cells.MODELS}
    assert {(cell.implementation, cell.model) for cell in found} == wanted
    assert len(found) == len(wanted)


def test_libraries_have_functions_of_those_names():
    known = {
        "torchvision": torchvision.models.list_models(),
        "timm": timm.list_models(),
        "paddle.vision": paddle.vision.models.__all__,
    }
    for library, names in cells.LIBRARIES.items():
        assert set(names.values()) <= set(known[library])


def test_a_library_builds_another_network_than_the_five(tmp_path):
    path = tmp_path / "vd.safetensors"
    tensors = seeded.draw("resnet18_vd", 0, 1000)
    weight_port.write(path, tensors)
    images = torch.from_numpy(inputs.images(1, 64, 0))
    ours, theirs = (
        make(str(path), "resnet18_vd")(images).detach().numpy()
        for make in (models_torch.build_ours, models_torch.build_timm)
    )
    np.testing.assert_array_equal(ours, theirs)
    path = tmp_path / "vgg.safetensors"
    weight_port.write(path, seeded.draw("vgg11_bn", 0, 1000))
    images = inputs.images(1, 32, 0)
    for worker_of, to in ((torch_worker, torch.from_numpy), (paddle_worker, paddle.to_tensor)):
        builders = list(worker_of.BUILD.values())[:2]
        one, other = (make(str(path), "vgg11_bn")(to(images)).detach().numpy() for make in builders)
        np.testing.assert_array_equal(one, other)


def test_libraries_have_the_networks_that_their_dialects_hold():
    for library, names in cells.LIBRARIES.items():
        held = {name for name in cells.MODELS if library in guard.holders(name)}
        # A library's class could be some of them, where no function of its makes it.
        lacking = held - set(names)
        assert set(names) <= held
        known = {"paddle.vision": dir(paddle.vision.models), "timm": timm.list_models()}
        functions = known.get(library, torchvision.models.list_models())
        assert lacking.isdisjoint(functions)
        assert not any(
            name.replace("_vd", "d").replace("_vc", "c") in functions for name in lacking
        )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rounds = 5", "no [[cells]]"),
        ("cells = 3", "no [[cells]]"),
        ("[[cells]", "no TOML"),
        ("roundz = 5\n[[cells]]", "unknown key 'roundz': cells, device, rounds"),
        ("rounds = 'five'\n[[cells]]", "rounds is 'five', not like 5"),
        ("[[cells]]\nmodel = ['resnet50']", "cells 1: unknown key 'model': one of models,"),
        ("[[cells]]\nmodels = 'resnet50'", "models is 'resnet50', not a list"),
        ("[[cells]]\nmodels = []", "models is [], not a list with something in it"),
        ("[[cells]]\nmodels = ['resnet99']", "models has 'resnet99': choose from resnet18,"),
        ("[[cells]]\nbatches = [0]", "batches has 0: it must be a whole number, at least 1"),
        ("[[cells]]\nbatches = [true]", "batches has True: it must be a whole number"),
        ("[[cells]]\n[[cells]]\nmodes = ['onednn']", "cells 2: pytorch_impl has none of what"),
    ],
)
def test_a_suite_that_is_wrong_says_where(text, said, tmp_path):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(suites.SuiteError) as raised:
        suites.read(str(tmp_path / "mine.toml"))
    assert said in str(raised.value)
    assert "mine.toml" in str(raised.value)


def best(implementation, mode, ms, **labels):
    """A cell of the best-effort rung with five processes around ``ms``."""
    cell = steady_cell(implementation, [ms * (1 + n / 1000) for n in range(5)])
    return {**cell, "rung": "best effort", "mode": mode, **labels}


def test_in_the_best_effort_rung_each_frameworks_fastest_is_held_against_the_engines():
    made = small_record(rounds=5)
    made["cells"] = [
        steady_cell("pytorch_impl", [10.0] * 5),  # faster than all, and in another rung
        best("pytorch_impl", "compile", 60.0),
        best("pytorch_impl", "inductor", 50.0, layout="NHWC"),
        best("paddle_impl", "onednn", 55.0),
        best("paddle_impl", "openvino", 45.0, error="parity: no"),
        best("onnxruntime", "engine", 50.0),
        best("openvino", "engine", 40.0),
        best("openvino", "engine", 4.0, precision="bf16"),  # another precision
    ]
    found = [(row["numerator"], row["denominator"]) for row in rows.ratios(made)]
    torch, paddle = "pytorch_impl inductor NHWC", "paddle_impl onednn NCHW"
    engine = "openvino engine NCHW"
    assert found == [(torch, engine), (paddle, engine), (paddle, torch)]
    assert rows.ratios(made)[0]["ratio"] == pytest.approx(50 / 40)


def test_layouts_and_allocators_of_one_implementation_are_compared_and_threads_are_not():
    made = small_record(rounds=5)
    made["cells"] = [
        steady_cell("paddle_impl", [100.0] * 5),
        {**steady_cell("paddle_impl", [150.0] * 5), "layout": "NHWC"},
        {**steady_cell("paddle_impl", [170.0] * 5), "allocator": "keep"},
        {**steady_cell("paddle_impl", [180.0] * 5), "threads": 1},
    ]
    found = {row["numerator"]: (row["denominator"], row["ratio"]) for row in rows.ratios(made)}
    plain = "paddle_impl NCHW 2 threads default"
    assert found == {
        "paddle_impl NHWC 2 threads default": (plain, pytest.approx(1.5)),
        "paddle_impl NCHW 2 threads keep": (plain, pytest.approx(1.7)),
    }


def test_a_ratio_says_the_labels_that_tell_it_from_another():
    made = small_record(rounds=5)
    made["cells"] = [
        steady_cell("pytorch_impl", [10.0] * 5),
        steady_cell("paddle_impl", [20.0] * 5),
        {**steady_cell("pytorch_impl", [10.0] * 5), "allocator": "keep"},
        {**steady_cell("paddle_impl", [30.0] * 5), "allocator": "keep"},
        # Another rung, whose labels are its own.
        {**steady_cell("paddle_impl", [99.0] * 5), "rung": "defaults", "threads": 0},
    ]
    found = {(row["numerator"], row["denominator"]): row["ratio"] for row in rows.ratios(made)}
    assert found["paddle_impl default", "pytorch_impl default"] == pytest.approx(2)
    assert found["paddle_impl keep", "pytorch_impl keep"] == pytest.approx(3)
    made["cells"] = made["cells"][:2]
    assert [row["numerator"] for row in rows.ratios(made)] == ["paddle_impl"]


def test_a_smaller_batch_is_in_no_ratio():
    made = small_record(rounds=5)
    assert rows.ratios(made)
    for cell in made["cells"]:
        cell["ran_batch"] = 1
    made["cells"][0]["batch"] = made["cells"][1]["batch"] = made["cells"][2]["batch"] = 2
    made["cells"][0]["ran_batch"] = 2
    pairs = [(row["numerator"], row["denominator"]) for row in rows.ratios(made)]
    assert pairs == []


SUITE = """
device = "cpu"
size = 64
[[cells]]
models = ["resnet18"]
batches = [2]
implementations = ["pytorch_impl"]
modes = ["eager", "openvino"]
[[cells]]
models = ["resnet18"]
batches = [2]
implementations = ["pytorch_impl"]
modes = ["folded"]
layouts = ["NHWC"]
[[cells]]
models = ["resnet18"]
batches = [2]
implementations = ["paddle_impl"]
layouts = ["NHWC"]
[[cells]]
models = ["resnet18"]
batches = [2]
implementations = ["paddle_impl", "onnxruntime", "openvino"]
modes = ["onednn", "openvino"]
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Rows of a real run of a suite, both frameworks and engines, by (name, mode, layout)."""
    folder = tmp_path_factory.mktemp("modes")
    (folder / "mine.toml").write_text(SUITE)
    file = folder / "run.json"
    status = main(["run", str(folder / "mine.toml"), "--rounds", "1", "--json", str(file)])
    found = rows.rows(json.loads(file.read_text()))
    return status, {(row["implementation"], row["mode"], row["layout"]): row for row in found}


@pytest.mark.numerical
def test_real_modes_pass_parity_and_are_timed(real):
    status, found = real
    assert status == 0
    assert list(found) == [
        ("pytorch_impl", "eager", "NCHW"),
        ("pytorch_impl", "openvino", "NCHW"),
        ("pytorch_impl", "folded", "NHWC"),
        ("paddle_impl", "eager", "NHWC"),
        ("paddle_impl", "onednn", "NCHW"),
        ("paddle_impl", "openvino", "NCHW"),
        ("onnxruntime", "engine", "NCHW"),
        ("openvino", "engine", "NCHW"),
    ]
    for row in found.values():
        assert row["error"] is None
        assert row["median_ms"] > 0
        assert row["rung"] == ("matched" if row["mode"] == "eager" else "best effort")
        assert (row["prepare_ms"] > 1) is (row["mode"] != "eager")
    errors = [row["relative_l2"] for row in found.values()]
    assert min(errors) > 0
    assert spread(errors) <= 1


@pytest.mark.numerical
def test_real_modes_are_other_kernels(real):
    """What was folded, laid out or served otherwise rounds otherwise: nothing fell back."""
    _, found = real
    for name in ("pytorch_impl", "paddle_impl"):
        errors = [row["relative_l2"] for key, row in found.items() if key[0] == name]
        assert len(set(errors)) == len(errors) == 3


def test_a_build_without_the_compiler_is_an_error_not_a_slower_row():
    import paddle

    from benchmarks.harness import modes_paddle as paddle_modes

    with pytest.raises(RuntimeError, match="has no CINN: it would run as to_static"):
        paddle_modes.cinn(paddle.nn.ReLU(), paddle.zeros([1]), "fp32")


def test_a_program_that_the_compiler_left_as_it_was_is_an_error_too(monkeypatch):
    """A real one: this build says that it has CINN, and runs the network as to_static."""
    import paddle

    from benchmarks.harness import modes_paddle as paddle_modes

    monkeypatch.setattr(paddle, "is_compiled_with_cinn", lambda: True)
    monkeypatch.setenv("ENABLE_CINN_IN_DY2ST", "0")
    convolution = paddle.nn.Conv2D(3, 4, 3, bias_attr=False)
    network = paddle.nn.Sequential(convolution, paddle.nn.BatchNorm2D(4))
    network.eval()
    with paddle.no_grad(), pytest.raises(RuntimeError, match=r"not compile pd_op\.batch_norm_: "):
        paddle_modes.cinn(network, paddle.zeros([1, 3, 8, 8]), "fp32")
    kernels = ["pd_op.conv2d", "cinn_runtime.jit_kernel", "pd_op.matmul"]
    paddle_modes._compiled(kernels)
    for left in (["pd_op.conv2d"], [*kernels, "pd_op.relu"]):
        with pytest.raises(RuntimeError, match="it would run as to_static"):
            paddle_modes._compiled(left)
