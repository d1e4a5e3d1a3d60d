"""The parity command on real processes: it finds equal networks equal and broken ones broken."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import weight_port
from parity import images, seeded

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


def parity(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "parity", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def run(checkpoint: Path, photographs: Path, *more: str | Path) -> subprocess.CompletedProcess[str]:
    common = ["--weights", checkpoint, "--images", photographs, "--size", str(SIDE)]
    return parity("resnet18", *common, *more)


def test_the_two_frameworks_are_equal(checkpoint: Path, photographs: Path, tmp_path: Path) -> None:
    done = run(checkpoint, photographs, "--json", tmp_path / "report.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("EQUAL")
    record = json.loads((tmp_path / "report.json").read_text())
    outputs = {(o["dtype"], o["name"]): o for o in record["outputs"]}
    names = [layer.name for layer in weight_port.arch.layers("resnet18")]
    assert [name for dtype, name in outputs if dtype == "float32"] == ["logits", *names]
    assert all(output["passed"] for output in record["outputs"])
    logits = outputs["float64", "logits"]
    assert logits["shape"] == [3, 512]
    assert logits["relative_l2"] <= 1e-13
    # What is compared is what the layers computed: fc and logits agree, other layers don't.
    assert outputs["float64", "fc"]["relative_l2"] == logits["relative_l2"]
    assert 0 < outputs["float32", "logits"]["relative_l2"] < 1e-5
    assert outputs["float32", "logits"]["torch_error"] != outputs["float32", "fc"]["paddle_error"]
    assert record["own_epsilon_effect"] > 1e-13
    assert record["top1_agree"] == {"float64": "3 of 3", "float32": "3 of 3"}


def test_calibrated_weights_depend_on_the_seed_and_the_images_alone(
    checkpoint: Path, photographs: Path, tmp_path: Path
) -> None:
    batch = images.batch([photographs], SIDE)
    again, other, torch = (tmp_path / name for name in ("a.pdparams", "b.pdparams", "c.pth"))
    seeded.make("resnet18", batch, again, num_classes=512)
    seeded.make("resnet18", batch, other, num_classes=512, seed=1)
    seeded.make("resnet18", batch, torch, num_classes=512, framework="torch")
    first, second, third = (
        weight_port.convert(weight_port.read(path), to="paddle1") for path in (again, other, torch)
    )
    kept = weight_port.convert(weight_port.read(checkpoint), to="paddle1")
    assert all(np.array_equal(first[name], kept[name]) for name in kept)
    assert not np.array_equal(second["conv1_weights"], kept["conv1_weights"])
    assert np.array_equal(third["conv1_weights"], kept["conv1_weights"])
    # torch's running variance is the unbiased one, Paddle's the biased: n / (n - 1) apart.
    count = 3 * (SIDE // 2) ** 2
    ratio = third["bn_conv1_variance"] / kept["bn_conv1_variance"]
    np.testing.assert_allclose(ratio, count / (count - 1), rtol=1e-5)


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


@pytest.mark.parametrize(
    ("mutate", "first"),
    [
        (perturb, "res3a_branch2a"),
        (swap, "res4b_branch2a"),
        (leave_fc_untransposed, "fc"),
        (forget_a_statistic, "bn5b_branch2a"),
        (swap_statistics, "bn2a_branch2a"),
        (put_one_nan_in, "res2b_branch2b"),
    ],
)
def test_a_broken_port_is_found_and_its_layer_named(
    checkpoint: Path,
    photographs: Path,
    tmp_path: Path,
    mutate: Callable[[Weights], None],
    first: str,
) -> None:
    weights = weight_port.convert(weight_port.read(checkpoint), to="paddle1")
    weights = {name: array.copy() for name, array in weights.items()}
    mutate(weights)
    port = tmp_path / "port.pth"
    weight_port.write(port, weight_port.convert(weights, to="torchvision"))
    done = run(checkpoint, photographs, "--torch-weights", port, "--precision", "float64")
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("DIFFERENT")
    assert f"float64: first layer that differs: {first}: " in done.stdout


def test_what_cannot_run_exits_2_with_the_reason(
    checkpoint: Path, photographs: Path, tmp_path: Path
) -> None:
    weights = weight_port.convert(weight_port.read(checkpoint), to="torchvision")
    del weights["layer1.0.bn1.running_mean"]
    dropped = tmp_path / "dropped.safetensors"
    weight_port.write(dropped, weights)
    cases = [
        (run(checkpoint, photographs, "--torch-weights", dropped), "bn2a_branch2a_mean"),
        (run(tmp_path / "absent.pdparams", photographs), "no such file"),
        (run(checkpoint, tmp_path / "nowhere"), "no such file or folder"),
        (run(checkpoint, photographs, "--precision", "float8"), "one of float64, float32"),
        (
            parity("resnet50", "--weights", checkpoint, "--images", photographs),
            "holds resnet18, not resnet50",
        ),
        (parity("resnet51", "--weights", checkpoint, "--images", photographs), "invalid choice"),
    ]
    for done, reason in cases:
        assert done.returncode == 2, done.stdout + done.stderr
        assert reason in done.stderr
        assert "Traceback" not in done.stderr
