"""The trained network and the test images in ``assets``: what they are, and that the port holds.

ResNet-20, trained in Paddle by ``python -m training``; see ``assets/README.md``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import paddle_impl
import pytorch_impl
import weight_port
from tests import ROOT
from tests.helpers.bounds import excess
from training import sheet
from training.data import batches
from training.data.cifar import limited
from training.evaluate import __main__ as evaluate
from training.evaluate import record as evaluate_record
from weight_port import arch

ASSETS = ROOT / "assets"
PADDLE, SAFE = (ASSETS / f"resnet20-cifar10.{suffix}" for suffix in ("pdparams", "safetensors"))
SHEET = ASSETS / "cifar10-test.png"
RECORD = json.loads((ROOT / "benchmarks" / "results" / "cifar-cpu.json").read_text())
SUM = 576  # products in the longest of its sums: 3 x 3 pixels of 64 channels
LOG = [json.loads(line) for line in (ASSETS / "resnet20-cifar10.jsonl").read_text().splitlines()]


def test_both_files_hold_the_same_network() -> None:
    one, other = (
        weight_port.convert(weight_port.read(path), to="paddle1") for path in (PADDLE, SAFE)
    )
    wanted = {parameter.name: parameter.shape for parameter in arch.parameters("resnet20", 10)}
    assert {name: array.shape for name, array in one.items()} == wanted
    assert set(other) == set(one)
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_images_are_few_enough_to_keep() -> None:
    assert SHEET.stat().st_size <= 1_000_000
    labels = sheet.read(SHEET).labels
    assert np.bincount(labels, minlength=10).min() >= 20  # of every class


def test_the_log_is_of_a_whole_training_in_paddle() -> None:
    assert [line["epoch"] for line in LOG] == list(range(1, len(LOG) + 1))
    assert {line["framework"] for line in LOG} == {"paddle"}
    assert LOG[-1]["test_accuracy"] >= 0.91


def test_the_record_is_of_these_weights_and_all_test_images() -> None:
    assert RECORD["weights"]["sha256"] == hashlib.sha256(PADDLE.read_bytes()).hexdigest()
    assert RECORD["images"] == 10_000
    torch_says, paddle_says = RECORD["frameworks"].values()
    assert torch_says == paddle_says
    assert paddle_says["right"] == round(LOG[-1]["test_accuracy"] * 10_000) >= 9_100
    assert RECORD["disagreements"] == []


@pytest.fixture(scope="module")
def logits() -> dict[str, np.ndarray]:
    return evaluate.scores(PADDLE, "resnet20", SHEET, None)


@pytest.fixture(scope="module")
def exact() -> np.ndarray:
    """The logits in float64: what both frameworks round."""
    images = torch.from_numpy(batches.normalised(sheet.read(SHEET).images)).double()
    with torch.inference_mode():
        return pytorch_impl.load(PADDLE).double()(images).numpy()


@pytest.mark.numerical
def test_both_frameworks_see_the_same_in_every_image(
    logits: dict[str, np.ndarray], exact: np.ndarray
) -> None:
    labels = sheet.read(SHEET).labels
    found = evaluate_record.compare(logits, labels)
    one, other = found["frameworks"].values()
    assert one == other
    assert one["right"] >= 0.9 * len(labels)
    assert found["disagreements"] == []
    apart = np.abs(logits["torch"] - logits["paddle"]).max()
    assert found["largest_difference"] == pytest.approx(apart)
    assert apart > 0  # they are two frameworks' logits
    assert excess(logits["torch"], logits["paddle"], exact, terms=SUM) <= 1
    # Labels of other images: the count is of what was seen, not of what was hoped for.
    moved = evaluate_record.compare(logits, np.roll(labels, 1))
    assert moved["frameworks"]["torch"]["right"] < 0.2 * len(labels)


@pytest.mark.numerical
def test_a_port_to_torch_is_this_network_and_a_wrong_one_is_seen(
    logits: dict[str, np.ndarray], exact: np.ndarray, tmp_path: Path
) -> None:
    ported = tmp_path / "resnet20.pth"
    weight_port.convert_file(PADDLE, ported, to="pytorch_impl")
    few = limited(sheet.read(SHEET), 100)
    images = torch.from_numpy(batches.normalised(few.images))
    right = pytorch_impl.load(ported)
    found = right(images).detach().numpy()
    for framework in ("torch", "paddle"):
        assert excess(found, logits[framework][:100], exact[:100], terms=SUM) <= 1, framework
    # One kernel of nineteen, mirrored.
    with torch.no_grad():
        kernel = right.get_submodule("res2b.branch2a.conv").weight
        kernel.copy_(kernel.flip(-1))
    wrong = right(images).detach().numpy()
    assert np.abs(wrong - logits["paddle"][:100]).max() > 0.1
    assert excess(wrong, logits["paddle"][:100], exact[:100], terms=SUM) > 1000


@pytest.mark.numerical
def test_paddle_loads_what_it_wrote(logits: dict[str, np.ndarray], exact: np.ndarray) -> None:
    import paddle

    network = paddle_impl.resnet20(num_classes=10)
    assert network.set_state_dict(paddle.load(str(PADDLE))) == ([], [])
    network.eval()
    few = limited(sheet.read(SHEET), 100)
    found = network(paddle.to_tensor(batches.normalised(few.images))).numpy()
    assert excess(found, logits["paddle"][:100], exact[:100], terms=SUM) <= 1
