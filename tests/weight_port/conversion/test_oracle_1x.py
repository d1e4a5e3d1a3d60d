"""A port of real Paddle 1.x programs: their variable files, their names, their outputs.

``oracle_1x.py`` builds, runs and saves the program in a process of its own; what it gives does
not depend on weight_port or on our models.
"""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
import torch
import torchvision

import paddle_impl
import pytorch_impl
import weight_port
from parity.workers.launch import available_threads, environment
from tests import ROOT
from tests.helpers.bounds import excess
from weight_port import arch

TENSORS = {50: 267, 101: 522, 152: 777}


@pytest.fixture(scope="session", params=TENSORS, ids=str)
def oracle(request, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """``depth``, ``weights`` (a folder), ``images`` (3, 3, 64, 64) and ``softmax`` (3, 1000)."""
    folder = tmp_path_factory.mktemp(f"oracle{request.param}")
    command = [sys.executable, "-W", "ignore", str(ROOT / "tests" / "helpers" / "oracle_1x.py")]
    done = subprocess.run(
        [*command, str(request.param), str(folder)],
        # save_vars and the ops of 1.x need the old program format.
        env=environment(available_threads(), {"FLAGS_enable_pir_api": "0"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    images, softmax = (np.load(folder / f"{name}.npy") for name in ("images", "softmax"))
    yield SimpleNamespace(
        depth=request.param, weights=folder / "weights", images=images, softmax=softmax
    )
    shutil.rmtree(folder)  # up to 240 MB


@pytest.fixture(scope="session")
def ported(oracle) -> pytorch_impl.ResNet:
    """The folder of variable files in ``pytorch_impl``."""
    return pytorch_impl.load(oracle.weights)


@pytest.fixture(scope="session")
def logits(oracle, ported) -> np.ndarray:
    """The port's logits in float64."""
    with torch.inference_mode():
        model = copy.deepcopy(ported).double().eval()
        return model(torch.from_numpy(oracle.images.astype(np.float64))).numpy()


@pytest.fixture(scope="session")
def exact(logits) -> np.ndarray:
    """The port's softmax in float64: what the program and the port round."""
    return pytorch_impl.softmax(torch.from_numpy(logits)).numpy()


LONGEST_SUM = 3 * 3 * 512  # products of a value in the last stage's convolutions

at_depth_50 = pytest.mark.parametrize("oracle", [50], indirect=True, ids=str)


def check_softmax(
    ours: np.ndarray, theirs: np.ndarray, exact: np.ndarray, logits: np.ndarray
) -> None:
    """Of a softmax p of logits z, d log p = dz - sum(p dz): up to twice the largest |dz|.

    Its relative error is thus up to twice the absolute one of its logits.
    """
    assert ours.dtype == theirs.dtype == np.float32
    largest = float(np.abs(logits).max())
    assert excess(ours, theirs, exact, terms=LONGEST_SUM, condition=2 * largest) <= 1
    np.testing.assert_array_equal(ours.argmax(axis=1), theirs.argmax(axis=1))


def torch_softmax(model: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return pytorch_impl.softmax(model.eval()(torch.from_numpy(images))).numpy()


def test_the_folder_holds_exactly_the_tensors_of_the_scheme(oracle) -> None:
    tensors = weight_port.read(oracle.weights)
    assert len(tensors) == len(list(oracle.weights.iterdir())) == TENSORS[oracle.depth]
    wanted = {p.name: p.shape for p in arch.parameters(f"resnet{oracle.depth}")}
    assert {name: array.shape for name, array in tensors.items()} == wanted
    assert {array.dtype.name for array in tensors.values()} == {"float32"}
    # No two alike, or a swap would go unseen.
    assert len({array.tobytes() for array in tensors.values()}) == len(tensors)
    found = weight_port.detect(tensors)
    assert (found.dialect, found.architecture) == ("paddle1", f"resnet{oracle.depth}")


def test_paddle_reads_the_same_numbers(oracle) -> None:
    tensors = weight_port.read(oracle.weights)
    for name in ("conv1_weights", "bn5c_branch2c_variance", "fc_0.w_0"):
        theirs = paddle.load(str(oracle.weights / name)).numpy()
        np.testing.assert_array_equal(tensors[name], theirs)


@pytest.mark.numerical
def test_the_softmax_says_something(oracle, exact) -> None:
    """Or equal outputs would be no proof."""
    softmax = oracle.softmax
    rounding = np.abs(softmax - exact).max()
    # A thousand sums of positive numbers, in any order (Higham 2002, section 4.2).
    np.testing.assert_allclose(softmax.sum(axis=1), 1, rtol=1000 * np.finfo(np.float32).eps)
    assert 3 / 1000 < softmax.max() < 0.5  # neither uniform nor saturated
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(softmax[one] - softmax[other]).max() > 100 * rounding
    first, second = np.sort(softmax)[:, [-1, -2]].T
    assert (first - second > 2 * rounding).all()  # equal argmax is no accident
    assert len(set(softmax.argmax(axis=1))) > 1
    variances = weight_port.read(oracle.weights)["bn4a_branch2a_variance"]
    assert np.ptp(variances) > 0.01  # calibrated, not left at 1


@pytest.mark.numerical
def test_pytorch_impl_gives_the_programs_softmax(oracle, ported, exact, logits) -> None:
    check_softmax(torch_softmax(ported, oracle.images), oracle.softmax, exact, logits)


@at_depth_50
@pytest.mark.numerical
def test_paddle_impl_gives_the_programs_softmax(oracle, exact, logits) -> None:
    model = paddle_impl.load(oracle.weights)
    with paddle.no_grad():
        ours = paddle_impl.softmax(model(paddle.to_tensor(oracle.images))).numpy()
    check_softmax(ours, oracle.softmax, exact, logits)


@at_depth_50
@pytest.mark.numerical
def test_torchvision_gives_the_programs_softmax(oracle, exact, logits, tmp_path) -> None:
    path = tmp_path / "torchvision.pth"
    weight_port.convert_file(oracle.weights, path, "torchvision")
    model = getattr(torchvision.models, f"resnet{oracle.depth}")()
    model.load_state_dict(torch.load(path, weights_only=True), strict=True)
    path.unlink()
    check_softmax(torch_softmax(model, oracle.images), oracle.softmax, exact, logits)


def swap(model: torch.nn.Module, one: str, other: str) -> None:
    state = model.state_dict()
    assert state[one].shape == state[other].shape
    kept = state[one].clone()
    state[one].copy_(state[other])
    state[other].copy_(kept)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("res2b.branch2b.conv.weight", "res2c.branch2b.conv.weight"),
        ("res4a.branch2a.bn.running_mean", "res4a.branch2b.bn.running_mean"),
        ("res5c.branch2a.bn.running_var", "res5c.branch2b.bn.running_var"),
    ],
)
@pytest.mark.numerical
def test_two_tensors_of_one_shape_swapped_break_it(
    oracle, ported, exact, logits, one: str, other: str
) -> None:
    swap(ported, one, other)
    try:
        broken = torch_softmax(ported, oracle.images)
    finally:
        swap(ported, one, other)
    with pytest.raises(AssertionError, match="excess"):
        check_softmax(broken, oracle.softmax, exact, logits)
    assert excess(broken, oracle.softmax, exact) > 10
    check_softmax(torch_softmax(ported, oracle.images), oracle.softmax, exact, logits)
