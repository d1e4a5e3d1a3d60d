"""The parity command on real processes: it finds equal networks equal and broken ones broken."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
import torch
from PIL import Image

import weight_port
from parity import images, seeded
from parity.__main__ import main
from parity.comparison import known_differences
from parity.run import plan
from parity.run import run as parity_run
from parity.run.plan import Options
from parity.run.results import Machine, Subject
from parity.workers.worker import do_runs
from parity.workers.worker_torch import Session
from tests.helpers import commands
from tests.helpers.bounds import FLOAT64, excess
from weight_port import arch

SIDE = 64
Weights = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(5)
    for number in range(3):
        coarse = random.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((96, 80), Image.Resampling.BICUBIC).save(
            folder / f"{number}.png"
        )
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> Path:
    """A calibrated ResNet-18 that Paddle saved; 512 classes make its fc square."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.pdparams"
    seeded.make("resnet18", images.batch([photographs], SIDE), path, num_classes=512)
    return path


parity = partial(commands.run, main)


def process(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, whose workers are so too."""
    command = [sys.executable, "-m", "parity", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def run(checkpoint: Path, photographs: Path, tmp_path: Path) -> Callable[..., Any]:
    """``run(*words)`` of the command on the checkpoint; its record is in ``run.record()``."""

    def call(
        *more: str | Path, images: Path = photographs, start: Callable[..., Any] = parity
    ) -> subprocess.CompletedProcess[str]:
        common = ["--weights", checkpoint, "--images", images, "--size", str(SIDE)]
        return start("resnet18", *common, "--out", tmp_path / "out", *more)

    call.record = lambda: json.loads((tmp_path / "out" / "resnet18.json").read_text())
    return call


def by_title(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {section["title"]: section for section in record["sections"]}


def test_gradients_that_are_rounding_about_zero_are_not_compared() -> None:
    """Of a bias before a batch norm, in training mode; all others are."""

    def names(model: str, mode: str) -> set[str]:
        (section,) = (
            found
            for found in plan.sections(model, Options(("float64",), (mode,), backward=True))
            if found.kind == "gradients"
        )
        return {output.name for output in section.outputs}

    left = names("resnet18_text", "eval") - names("resnet18_text", "train")
    biases = [p.name for p in arch.parameters("resnet18_text") if p.role == "bias"]
    assert left == set(biases)
    assert len(biases) == 17
    assert names("resnet18", "eval") == names("resnet18", "train")


@pytest.mark.numerical
def test_everything_is_equal(run: Callable[..., Any]) -> None:
    words = ("--mode", "eval,train", "--isolate", "--backward", "--train-steps", "2")
    done = run(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("\nEQUAL")
    shown = Path(re.search(r"^page: (.*)$", done.stderr, re.MULTILINE)[1])
    assert "EQUAL" in shown.read_text()
    record = run.record()
    sections = by_title(record)
    kinds = ("forward", "isolated", "gradients")
    expected = [
        f"{kind}, {mode} mode, {precision}"
        for mode in ("eval", "train")
        for kind in kinds
        for precision in ("float64", "float32")
    ]
    training = [f"training, train mode, {precision}" for precision in ("float64", "float32")]
    assert list(sections) == expected + training
    assert record["verdict"] == "EQUAL"
    assert all(section["passed"] and not section["error"] for section in record["sections"])
    layers = [layer.name for layer in arch.layers("resnet18")]
    forward = sections["forward, eval mode, float32"]
    assert [output["name"] for output in forward["outputs"]] == [*layers, "logits"]
    assert forward["ranking"] == {"images": 3, "top1": 3, "top5": 1.0}
    isolated = sections["isolated, eval mode, float32"]["outputs"]
    assert [output["name"] for output in isolated] == layers
    # A layer's own error doesn't grow with depth, the accumulated one does.
    own, whole = ({o["name"]: o["torch_error"] for o in s} for s in (isolated, forward["outputs"]))
    assert own["res5b_branch2b"] < whole["res5b_branch2b"] / 2
    assert own["conv1"] == whole["conv1"]
    gradients = {o["name"] for o in sections["gradients, train mode, float64"]["outputs"]}
    trained = [p for p in arch.parameters("resnet18") if p.role not in ("mean", "variance")]
    assert gradients == {"loss", "images", *(p.name for p in trained)}


@pytest.mark.numerical
def test_float64_is_equal_to_rounding(run: Callable[..., Any]) -> None:
    # 96 pixels end in 3x3, whose average Paddle takes apart with a float32: see the test below.
    words = ("--size", "96", "--precision", "float64", "--backward", "--train-steps", "3")
    done = run(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    # The float32 next to 1/9 is 7.5e-9 of itself away from it, on every processor.
    assert abs(float(np.float32(1 / 9)) * 9 - 1) == pytest.approx(7.45e-9, rel=1e-3)
    assert "(its own would be 7.5e-09 away)" in done.stdout
    effect = run.record()["own_epsilon_effect"]
    assert f"(its own 1e-05 would move the float64 logits by {effect:.1e})" in done.stdout
    assert effect > FLOAT64.logits  # more than the comparison lets pass
    sections = by_title(run.record())
    worst = {
        title: max(output["relative_l2"] for output in section["outputs"])
        for title, section in sections.items()
    }
    assert worst["forward, eval mode, float64"] <= 1e-13
    assert worst["gradients, eval mode, float64"] <= 1e-12
    assert worst["training, train mode, float64"] <= 1e-13


@pytest.mark.parametrize("side", [1, 2, 3, 7, 14])
def test_paddles_average_pool_sends_back_what_the_model_says(side: int) -> None:
    x = paddle.ones([1, 1, side, side], dtype="float64")
    x.stop_gradient = False
    paddle.nn.AdaptiveAvgPool2D(1)(x).sum().backward()
    pool5 = next(layer for layer in arch.layers("resnet18") if layer.name == "pool5")
    found = known_differences.pool_gradients(pool5, side)
    assert found.shape == (1, 1)
    assert np.all(x.grad.numpy() * side**2 == found)
    assert (found == 1).all() == (side in (1, 2))


def test_paddles_cut_windows_send_back_what_the_model_says() -> None:
    pool2 = next(layer for layer in arch.layers("nin_cifar") if layer.name == "pool2")
    x = paddle.ones([1, 1, 7, 7], dtype="float64")
    x.stop_gradient = False
    y = paddle.nn.AvgPool2D(pool2.kernel, pool2.stride, 0, ceil_mode=True)(x)
    y[0, 0, 1, 2].backward()  # at 7 pixels every window is whole
    factors = known_differences.pool_gradients(pool2, 7)
    assert factors.shape == tuple(y.shape[2:]) == (3, 3)
    assert x.grad.numpy().max() * 9 == factors[1, 2]
    x = paddle.ones([1, 1, 8, 8], dtype="float64")
    x.stop_gradient = False
    y = paddle.nn.AvgPool2D(pool2.kernel, pool2.stride, 0, ceil_mode=True)(x)
    y[0, 0, 3, 3].backward()  # of 2x2 that are left
    factors = known_differences.pool_gradients(pool2, 8)
    assert factors.shape == tuple(y.shape[2:]) == (4, 4)
    assert x.grad.numpy().max() * 4 == factors[3, 3] == 1
    y = paddle.nn.AvgPool2D(pool2.kernel, pool2.stride, 0, ceil_mode=True)(x)
    x.clear_grad()
    y[0, 0, 3, 1].backward()  # 2x3
    assert x.grad.numpy().max() * 6 == factors[3, 1]


@pytest.mark.numerical
def test_the_running_variance_is_explained_to_rounding(run: Callable[..., Any]) -> None:
    run("--precision", "float64", "--train-steps", "3")
    outputs = by_title(run.record())["training, train mode, float64"]["outputs"]
    variances = [output for output in outputs if output["type"] == "variance"]
    assert len(variances) == 3 * 20
    assert {output["step"] for output in variances} == {1, 2, 3}
    for output in variances:
        assert output["relative_l2"] <= 1e-14
        # Without the model they'd fail: by 1/(n-1) of what the batches added.
        assert output["unexplained_l2"] > 1e-6
        assert output["explained"].startswith("PyTorch's variance is n/(n-1) times Paddle's, n = ")
    counts = {output["layer"]: output["explained"].rpartition(" ")[2] for output in variances}
    assert counts["bn_conv1"] == str(3 * (SIDE // 2) ** 2)
    assert counts["bn5b_branch2b"] == str(3 * (SIDE // 32) ** 2)
    unexplained = [output for output in outputs if not output["explained"]]
    assert all(output["unexplained_l2"] is None for output in unexplained)


def test_what_a_framework_cannot_run_is_no_verdict(run: Callable[..., Any]) -> None:
    done = run("--precision", "float32,bfloat16")
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("\nNOT RUN")
    assert "forward, eval mode, bfloat16: paddle could not run it: " in done.stdout
    record = run.record()
    sections = by_title(record)
    assert sections["forward, eval mode, float32"]["passed"]
    assert "bfloat16" in sections["forward, eval mode, bfloat16"]["error"]
    assert not sections["forward, eval mode, bfloat16"]["outputs"]


def test_two_halves_make_the_same_run(
    run: Callable[..., Any], checkpoint: Path, photographs: Path, tmp_path: Path
) -> None:
    words = ["--weights", checkpoint, "--images", photographs, "--size", SIDE]
    words += ["--precision", "float32", "--train-steps", "1"]
    for side in ("torch", "paddle"):
        done = parity("dump", side, "resnet18", tmp_path / side, *words)
        assert done.returncode == 0, done.stderr
    whole = run("--precision", "float32", "--train-steps", "1")
    assert whole.returncode == 0
    expected = run.record()["sections"]
    out = ("--out", tmp_path / "out")
    done = parity("compare", tmp_path / "paddle", tmp_path / "torch", *out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert run.record()["sections"] == expected
    # Dumps that are no two halves of one run.
    other = parity("dump", "torch", "resnet18", tmp_path / "other", *words, "--seed", "1")
    assert other.returncode == 0, other.stderr
    cases = {
        "not halves of one run: labels": ("other", "paddle"),
        "both of torch": ("torch", "other"),
        "manifest.json: can't be read": ("torch", "nowhere"),
    }
    for reason, pair in cases.items():
        done = parity("compare", *(tmp_path / name for name in pair), *out)
        assert done.returncode == 2
        assert reason in done.stderr
    again = parity("dump", "torch", "resnet18", tmp_path / "torch", *words)
    assert again.returncode == 2
    assert "exists" in again.stderr
    without = parity("dump", "torch", "resnet18", tmp_path / "new")
    assert "dump needs --weights" in without.stderr
    assert not list(tmp_path.glob(".parity-*"))


def test_a_framework_may_live_in_another_environment(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    # Another interpreter by name, whose environment is told apart by a variable.
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    done = run("--precision", "float64", "--torch-python", python)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "parity.workers.worker_torch" in (tmp_path / "words").read_text()
    done = run("--torch-python", tmp_path / "nothing")
    assert done.returncode == 2
    assert "nothing: can't be run: No such file or directory" in done.stderr


def test_nothing_but_a_name_is_needed(tmp_path: Path) -> None:
    words = ("resnet18", "--size", "33", "--precision", "float64", "--out", tmp_path)
    done = parity(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "weights: drawn from seed 0, calibrated in Paddle" in done.stdout
    first = json.loads((tmp_path / "resnet18.json").read_text())
    parity(*words, "--seed", "1")
    assert (
        json.loads((tmp_path / "resnet18.json").read_text())["images_sha256"]
        != (first["images_sha256"])
    )
    listed = parity("--list")
    assert listed.returncode == 0
    assert listed.stdout.split() == list(arch.ARCHITECTURES)


def test_a_network_without_pool1_at_its_own_size_in_a_wrapper(
    photographs: Path, tmp_path: Path
) -> None:
    ours, wrapped = tmp_path / "resnet20.pdparams", tmp_path / "wrapped.pth"
    seeded.make("resnet20", images.batch([photographs], 32), ours)
    theirs = weight_port.convert(weight_port.read(ours), to="cifar")
    weight_port.write(wrapped, {f"module.{key}": array for key, array in theirs.items()})
    common = ["--weights", ours, "--torch-weights", wrapped, "--images", photographs]
    done = parity("resnet20", *common, "--precision", "float64", "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "resnet20.json").read_text())
    assert record["images"] == [3, 3, 32, 32]
    names = [layer.name for layer in weight_port.arch.layers("resnet20")]
    outputs = record["sections"][0]["outputs"]
    assert [output["name"] for output in outputs] == [*names, "logits"]
    assert "pool1" not in names


@pytest.mark.numerical
def test_calibrated_weights_depend_on_the_seed_and_the_images_alone(
    checkpoint: Path, photographs: Path, tmp_path: Path
) -> None:
    batch = images.batch([photographs], SIDE)
    again, other, in_torch = (tmp_path / name for name in ("a.pdparams", "b.pdparams", "c.pth"))
    seeded.make("resnet18", batch, again, num_classes=512)
    seeded.make("resnet18", batch, other, num_classes=512, seed=1)
    seeded.make("resnet18", batch, in_torch, num_classes=512, framework="torch")
    first, second, third = (
        weight_port.convert(weight_port.read(path), to="paddle1")
        for path in (again, other, in_torch)
    )
    kept = weight_port.convert(weight_port.read(checkpoint), to="paddle1")
    assert all(np.array_equal(first[name], kept[name]) for name in kept)
    assert not np.array_equal(second["conv1_weights"], kept["conv1_weights"])
    assert np.array_equal(third["conv1_weights"], kept["conv1_weights"])
    # torch's running variance is the unbiased one, Paddle's the biased: n / (n - 1) apart.
    count = 3 * (SIDE // 2) ** 2
    weight, pixels = (torch.tensor(a.astype(np.float64)) for a in (kept["conv1_weights"], batch))
    output = torch.nn.functional.conv2d(pixels, weight, stride=2, padding=3)
    exact = output.var((0, 2, 3), correction=0).numpy()
    biased = third["bn_conv1_variance"] * ((count - 1) / count)
    assert excess(biased, kept["bn_conv1_variance"], exact) <= 1
    assert excess(third["bn_conv1_variance"], kept["bn_conv1_variance"], exact) > 10


def perturb(weights: Weights) -> None:
    weights["res3a_branch2a_weights"][0, 0, 1, 1] += 1e-4


def swap(weights: Weights) -> None:
    first, second = "res4b_branch2a_weights", "res4b_branch2b_weights"
    weights[first], weights[second] = weights[second], weights[first]


def leave_fc_untransposed(weights: Weights) -> None:
    weights["fc_0.w_0"] = weights["fc_0.w_0"].T.copy()


def forget_a_statistic(weights: Weights) -> None:
    weights["bn5b_branch2a_variance"][:] = 1


def swap_statistics(weights: Weights) -> None:
    weights["bn2a_branch2a_scale"], weights["bn2a_branch2a_variance"] = (
        weights["bn2a_branch2a_variance"],
        weights["bn2a_branch2a_scale"],
    )


def put_one_nan_in(weights: Weights) -> None:
    weights["res2b_branch2b_weights"][0, 0, 0, 0] = np.nan


def permute_channels(weights: Weights) -> None:
    weights["res2b_branch2a_weights"] = weights["res2b_branch2a_weights"][::-1].copy()


def transpose_a_kernel(weights: Weights) -> None:
    name = "res2b_branch2a_weights"
    weights[name] = weights[name].transpose(0, 1, 3, 2).copy()


def feed_bgr(weights: Weights) -> None:
    weights["conv1_weights"] = weights["conv1_weights"][:, ::-1].copy()


def scale_the_images(weights: Weights) -> None:
    weights["conv1_weights"] *= np.float32(1 + 1e-6)


def move_the_statistics(weights: Weights) -> None:
    for role in ("mean", "variance"):
        first, second = f"bn3a_branch2a_{role}", f"bn3a_branch2b_{role}"
        weights[first], weights[second] = weights[second], weights[first]


def forget_the_mean(weights: Weights) -> None:
    weights["bn_conv1_mean"][:] = 0


def forget_the_scale(weights: Weights) -> None:
    weights["bn4a_branch1_scale"][:] = 1


def forget_the_offset(weights: Weights) -> None:
    weights["bn5a_branch2b_offset"][:] = 0


def add_to_the_bias(weights: Weights) -> None:
    weights["fc_0.b_0"][7] += 1e-6


def permute_classes(weights: Weights) -> None:
    weights["fc_0.w_0"] = weights["fc_0.w_0"][:, ::-1].copy()


def round_to_half(weights: Weights) -> None:
    weights["res3b_branch2b_weights"] = (
        weights["res3b_branch2b_weights"].astype(np.float16).astype(np.float32)
    )


def move_the_epsilon(weights: Weights) -> None:
    weights["bn4b_branch2a_variance"] += np.float32(1e-3 - 1e-5)


FORWARD = Options(("float64",))


@pytest.fixture(scope="module")
def reference(
    tmp_path_factory: pytest.TempPathFactory, checkpoint: Path, photographs: Path
) -> Path:
    """Paddle's half of a run, which all broken ports are compared with."""
    out = tmp_path_factory.mktemp("dumps") / "paddle"
    words = ["--weights", checkpoint, "--images", photographs, "--size", SIDE]
    done = parity("dump", "paddle", "resnet18", out, *words, "--precision", "float64")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def first_that_differs(
    reference: Path, checkpoint: Path, tmp_path: Path
) -> Callable[..., tuple[str, str] | None]:
    """(output, cause) of torch's half with other weights or a changed model, in this process."""
    return partial(_first_that_differs, reference, checkpoint, tmp_path / "torch")


def _first_that_differs(
    reference: Path,
    checkpoint: Path,
    folder: Path,
    port: Path | None = None,
    change: Callable[[Any], None] = lambda _: None,
) -> tuple[str, str] | None:
    given = {"torch": port or checkpoint, "paddle": checkpoint}
    inputs = weight_port.read(reference / "inputs.safetensors")
    subject = Subject("resnet18", given, inputs["images"], inputs["labels"], {})
    roots = {"torch": folder, "paddle": reference}
    path = reference / "inputs.safetensors"
    job = parity_run.job("torch", subject, FORWARD, Machine(), roots, path, None)
    session = Session(job)
    change(session.model)
    do_runs(job, {"forward": session.forward})
    tensors = cache(lambda: parity_run.tensors(subject))
    follower = parity_run.follower("resnet18", roots, tensors, inputs["images"])
    sections = plan.sections("resnet18", FORWARD)
    (found,) = parity_run.compare_sections("resnet18", sections, follower, lambda _: None)
    assert not found.error
    names = [output.name for output in found.outputs if not output.passed]
    assert found.passed == (not names) == (found.cause is None)
    return (names[0], found.cause["cause"]) if found.cause else None


@pytest.mark.numerical
def test_the_unbroken_port_is_equal(first_that_differs: Callable[..., Any]) -> None:
    assert first_that_differs() is None


@pytest.mark.parametrize(
    ("mutate", "first", "cause"),
    [
        (perturb, "res3a_branch2a", "checkpoint_differs"),
        (swap, "res4b_branch2a", "weights_swapped"),
        (leave_fc_untransposed, "fc", "fc_untransposed"),
        (forget_a_statistic, "bn5b_branch2a", "statistics_missing"),
        (swap_statistics, "bn2a_branch2a", "statistics_permuted"),
        (put_one_nan_in, "res2b_branch2b", "not_finite"),
        (permute_channels, "res2b_branch2a", "output_channels_permuted"),
        (transpose_a_kernel, "res2b_branch2a", "kernel_turned"),
        (feed_bgr, "conv1", "input_channels_permuted"),
        (scale_the_images, "conv1", "checkpoint_differs"),
        (move_the_statistics, "bn3a_branch2a", "statistics_of_another_layer"),
        (forget_the_mean, "bn_conv1", "statistics_missing"),
        (forget_the_scale, "bn4a_branch1", "statistics_missing"),
        (forget_the_offset, "bn5a_branch2b", "statistics_missing"),
        (add_to_the_bias, "fc", "checkpoint_differs"),
        (permute_classes, "fc", "checkpoint_differs"),
        (round_to_half, "res3b_branch2b", "weights_rounded"),
        (move_the_epsilon, "bn4b_branch2a", "checkpoint_differs"),
    ],
)
def test_a_broken_port_is_found_and_its_layer_and_cause_named(
    first_that_differs: Callable[..., Any],
    checkpoint: Path,
    tmp_path: Path,
    mutate: Callable[[Weights], None],
    first: str,
    cause: str,
) -> None:
    weights = weight_port.convert(weight_port.read(checkpoint), to="paddle1")
    weights = {name: array.copy() for name, array in weights.items()}
    mutate(weights)
    port = tmp_path / "port.pth"
    weight_port.write(port, weight_port.convert(weights, to="torchvision"))
    assert first_that_differs(port) == (first, cause)


def other_padding(model: Any) -> None:
    model.pool1.padding = 0


def ceil_mode(model: Any) -> None:
    model.pool1.ceil_mode = True


def average_pool(model: Any) -> None:
    model.pool1 = torch.nn.AvgPool2d(3, 2, 1)


def stride_on_the_second(model: Any) -> None:
    for block in (model.res3a, model.res4a, model.res5a):
        block.branch2a.conv.stride, block.branch2b.conv.stride = (1, 1), (2, 2)


def no_shortcut(model: Any) -> None:
    model.res3b.forward = lambda x: torch.relu(
        model.res3b.branch2b(torch.relu(model.res3b.branch2a(x)))
    )


def no_relu(model: Any) -> None:
    model.res3b.forward = lambda x: x + model.res3b.branch2b(torch.relu(model.res3b.branch2a(x)))


def training_mode(model: Any) -> None:
    model.train = lambda mode=True: torch.nn.Module.train(model, True)


def softmax_at_the_end(model: Any) -> None:
    model.register_forward_hook(lambda _model, _inputs, logits: logits.softmax(1))


def float32_inside(model: Any) -> None:
    model.res4b.register_forward_hook(lambda _module, _inputs, y: y.float().double())


@pytest.mark.parametrize(
    ("change", "first", "cause"),
    [
        (other_padding, "pool1", "pool_padding"),
        (ceil_mode, "pool1", "pool_padding"),
        (average_pool, "pool1", "pool_average"),
        (stride_on_the_second, "res3a_branch2a", "stride"),
        (no_shortcut, "res3b", "shortcut_missing"),
        (no_relu, "res3b", "relu_missing"),
        (training_mode, "bn_conv1", "batch_statistics"),
        (softmax_at_the_end, "logits", "softmax"),
        (float32_inside, "res4b", "lower_precision"),
    ],
)
def test_a_broken_network_is_found_and_its_layer_and_cause_named(
    first_that_differs: Callable[..., Any],
    change: Callable[[Any], None],
    first: str,
    cause: str,
) -> None:
    assert first_that_differs(change=change) == (first, cause)


def test_the_command_says_which_layer_differs_and_exits_1(
    run: Callable[..., Any], checkpoint: Path, tmp_path: Path
) -> None:
    weights = weight_port.convert(weight_port.read(checkpoint), to="paddle1")
    weights = {name: array.copy() for name, array in weights.items()}
    leave_fc_untransposed(weights)
    port = tmp_path / "port.pth"
    weight_port.write(port, weight_port.convert(weights, to="torchvision"))
    done = run("--torch-weights", port, "--precision", "float64", start=process)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("\nDIFFERENT")
    assert "forward, eval mode, float64: first that differs: fc: " in done.stdout
    assert run.record()["sections"][0]["first"] == "fc"
    cause = run.record()["diagnosis"]
    assert (cause["cause"], cause["layer"]) == ("fc_untransposed", "fc")
    assert f"cause: {cause['sentence']}" in done.stdout


def test_what_cannot_run_exits_2_with_the_reason(
    run: Callable[..., Any], checkpoint: Path, photographs: Path, tmp_path: Path
) -> None:
    weights = weight_port.convert(weight_port.read(checkpoint), to="torchvision")
    del weights["layer1.0.bn1.running_mean"]
    dropped = tmp_path / "dropped.safetensors"
    weight_port.write(dropped, weights)
    absent = ("resnet18", "--weights", tmp_path / "absent.pdparams", "--images", photographs)
    cases = [
        (run("--torch-weights", dropped), "bn2a_branch2a_mean"),
        (parity(*absent), "no such file"),
        (run(images=tmp_path / "nowhere"), "no such file or folder"),
        (run("--precision", "float8"), "unknown 'float8': choose from float64, float32"),
        (run("--mode", "test"), "unknown 'test': choose from eval, train"),
        (run("--train-steps", "-1"), "'-1' must be a whole number, at least 0"),
        (run("--device", "gpu"), "torch and paddle can't use a GPU here"),
        (parity("resnet50", "--weights", checkpoint), "holds resnet18, not resnet50"),
        (parity("resnet18", "resnet50", "--weights", checkpoint), "name one MODEL"),
        (parity("resnet18", "--torch-weights", checkpoint), "name those too"),
        (parity("resnet51"), "invalid choice"),
    ]
    for done, reason in cases:
        assert done.returncode == 2, done.stdout + done.stderr
        assert reason in done.stderr
        assert "Traceback" not in done.stderr
