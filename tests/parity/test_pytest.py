"""assert_parity in a user's own tests: what passes, what fails, and what it says."""

from __future__ import annotations

import re

import numpy as np
import paddle
import pytest
import torch

from parity.pytest import assert_parity
from tests import ROOT

RANDOM = np.random.default_rng(1)
IMAGES = RANDOM.standard_normal((2, 3, 9, 9)).astype(np.float32)
NAMES = {"0": "0", "1": "1", "4": "4"}


def pair() -> tuple[torch.nn.Sequential, paddle.nn.Sequential]:
    """The same small network in both frameworks; the linear weight is square."""
    mine = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.BatchNorm2d(4, eps=float(np.float32(1e-5))),
        torch.nn.ReLU(inplace=True),
        torch.nn.Flatten(),
        torch.nn.Linear(196, 196),
    ).eval()
    theirs = paddle.nn.Sequential(
        paddle.nn.Conv2D(3, 4, 3),
        paddle.nn.BatchNorm2D(4),
        paddle.nn.ReLU(),
        paddle.nn.Flatten(),
        paddle.nn.Linear(196, 196),
    )
    theirs.eval()
    state = {key: tensor.numpy() for key, tensor in mine.state_dict().items()}
    for key, tensor in theirs.state_dict().items():
        array = state[key.replace("._mean", ".running_mean").replace("._variance", ".running_var")]
        tensor.set_value(array.T if key == "4.weight" else array)
    return mine, theirs


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.numerical
def test_equal_modules_pass(dtype: type) -> None:
    mine, theirs = pair()
    if dtype is np.float64:
        mine, theirs = mine.double(), theirs.to(dtype="float64")
    found = assert_parity(mine, theirs, IMAGES.astype(dtype), NAMES)
    assert [output.name for output in found] == ["0", "1", "4", "output"]
    assert all(output.passed for output in found)
    assert found[0].shape == (2, 4, 7, 7)
    assert next(mine.parameters()).dtype == (
        torch.float64 if dtype is np.float64 else torch.float32
    )


def test_either_side_may_come_first(parity) -> None:
    mine, theirs = pair()
    assert len(parity(theirs, mine, IMAGES)) == 1


def untransposed(mine, theirs) -> None:
    theirs[4].weight.set_value(theirs[4].weight.numpy().T.copy())


def one_weight(mine, theirs) -> None:
    with torch.no_grad():
        mine[0].weight[0, 0, 0, 0] += 1e-3


def lost_statistics(mine, theirs) -> None:
    theirs[1]._variance.set_value(np.full(4, 1.01, np.float32))


def training(mine, theirs) -> None:
    mine.train()


def not_a_number(mine, theirs) -> None:
    with torch.no_grad():
        mine[4].bias[3] = float("nan")


@pytest.mark.parametrize(
    ("change", "first"),
    [(untransposed, "4"), (one_weight, "0"), (lost_statistics, "1"), (training, "1"),
     (not_a_number, "4")],
)  # fmt: skip
@pytest.mark.numerical
def test_a_broken_pair_fails_with_the_table(change, first: str) -> None:
    mine, theirs = pair()
    change(mine, theirs)
    with pytest.raises(pytest.fail.Exception) as failure:
        assert_parity(mine, theirs, IMAGES, NAMES)
    said = str(failure.value)
    assert f"first that differs: {first}: " in said
    assert re.search(r"DIFFERENT$", said, re.MULTILINE)


def test_functions_are_compared_too() -> None:
    assert_parity(lambda x: x * 2, lambda x: x + x, IMAGES)
    with pytest.raises(pytest.fail.Exception, match="first that differs: output: relative L2"):
        assert_parity(lambda x: x * 2, lambda x: x + x + 1e-3, IMAGES)
    with pytest.raises(pytest.fail.Exception, match="shapes differ"):
        assert_parity(lambda x: x[:1], lambda x: x, IMAGES)
    with pytest.raises(pytest.fail.Exception, match="dtype"):
        assert_parity(lambda x: x.astype(np.float64), lambda x: x, IMAGES)


def test_what_cannot_be_compared_says_why() -> None:
    mine, theirs = pair()
    with pytest.raises(ValueError, match="no module 'layer9' in the torch one: , 0, 1"):
        assert_parity(mine, theirs, IMAGES, {"layer9": "0"})
    with pytest.raises(ValueError, match="a function has none"):
        assert_parity(lambda x: x, lambda x: x, IMAGES, {"0": "0"})
    with pytest.raises(ValueError, match="inputs of int64: one of float64"):
        assert_parity(mine, theirs, np.zeros((1, 3), np.int64))
    with pytest.raises(TypeError, match="output: a str is neither"):
        assert_parity(lambda x: "x", lambda x: x, IMAGES)
    with pytest.raises(ValueError, match="gives float32 for float64 inputs"):
        assert_parity(lambda x: x, lambda x: x.astype(np.float32), IMAGES)


def test_the_guides_example_runs_as_a_test(pytester: pytest.Pytester) -> None:
    guide = (ROOT / "docs" / "guides" / "parity.md").read_text()
    (example,) = re.findall(r"```python\n(# test_my_port\.py\n.*?)```", guide, re.DOTALL)
    # The same without the transpose, which a square weight hides from every check of shapes.
    broken = example.replace("weight.T", "weight")
    assert broken != example
    pytester.makepyfile(test_my_port=example, test_broken=broken)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "ignore")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["first that differs: 0: relative L2 *"])


@pytest.mark.parametrize(
    "make",
    [torch.from_numpy, paddle.to_tensor, lambda x: [x], lambda x: (torch.from_numpy(x),)],
    ids=["torch", "paddle", "a list", "a tuple of tensors"],
)
def test_inputs_may_be_tensors_of_either_framework(make) -> None:
    mine, theirs = pair()
    assert len(assert_parity(mine, theirs, make(IMAGES))) == 1
    one_weight(mine, theirs)
    with pytest.raises(pytest.fail.Exception, match="first that differs: output"):
        assert_parity(mine, theirs, make(IMAGES))


@pytest.mark.parametrize("several", [[1, 2], (1,), {"out": 1}, None])
def test_several_outputs_are_refused_with_the_way_out(several) -> None:
    with pytest.raises(TypeError, match="pass a function of the inputs that returns one tensor"):
        assert_parity(lambda x: several, lambda x: x, IMAGES)


def test_a_container_is_not_blamed_for_a_leaf() -> None:
    mine, theirs = pair()
    mine, theirs = torch.nn.Sequential(mine), paddle.nn.Sequential(theirs)
    mine[0][1].eps = 0.1
    names = {"0": "0", "0.4": "0.4", "0.1": "0.1", "0.0": "0.0"}
    with pytest.raises(pytest.fail.Exception, match=r"first that differs: 0\.1: "):
        assert_parity(mine.eval(), theirs, IMAGES, names)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda mine, theirs: mine.train(), r"first \(torch\) is in training mode: itself, 0, 1"),
        (lambda mine, theirs: theirs.train(), r"second \(paddle\) is in training mode: itself"),
        (lambda mine, theirs: mine[1].train(), r"first \(torch\) is in training mode: 1\. Call"),
    ],
)
def test_a_side_in_training_mode_is_named(change, named: str) -> None:
    mine, theirs = pair()
    change(mine, theirs)
    with pytest.raises(pytest.fail.Exception, match=named):
        assert_parity(mine, theirs, IMAGES)
    mine, theirs = pair()
    one_weight(mine, theirs)
    with pytest.raises(pytest.fail.Exception) as failure:
        assert_parity(mine, theirs, IMAGES)
    assert "training mode" not in str(failure.value)


def test_a_module_is_not_blamed_for_what_comes_into_it() -> None:
    mine, theirs = pair()
    mine[2] = torch.nn.Identity()  # the missing ReLU
    with pytest.raises(pytest.fail.Exception, match=r"comes into it differs already .*before it"):
        assert_parity(mine, theirs, IMAGES, NAMES)
    mine, theirs = pair()
    untransposed(mine, theirs)
    with pytest.raises(pytest.fail.Exception) as failure:
        assert_parity(mine, theirs, IMAGES, NAMES)
    assert "comes into it" not in str(failure.value)


@pytest.mark.parametrize("momentum", [0.9, 0.01, 0.2, 0.0])
def test_another_momentum_shows_in_the_statistics(momentum: float) -> None:
    mine, theirs = pair()
    assert len(assert_parity(mine.train(), theirs.train() or theirs, IMAGES)) == 2
    mine, theirs = pair()
    mine[1].momentum = momentum
    with pytest.raises(pytest.fail.Exception, match="statistics after a call in training mode"):
        assert_parity(mine.train(), theirs.train() or theirs, IMAGES)
    assert len(assert_parity(*pair(), IMAGES)) == 1


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
@pytest.mark.parametrize("centred", [True, False])
def test_statistics_may_differ_by_their_own_rounding_alone(scale: float, centred: bool) -> None:
    images = scale * RANDOM.standard_normal((8, 3, 9, 9))
    images -= images.mean((0, 2, 3), keepdims=True) * centred
    mine, theirs = torch.nn.BatchNorm2d(3), paddle.nn.BatchNorm2D(3)
    mine.eps = theirs._epsilon = float(np.float32(1e-5))
    inputs = images.astype(np.float32)
    statistics = assert_parity(mine, theirs, inputs)[-1]
    assert 0 < statistics.allowed < 2e-6  # some roundings of the values, and no chosen bound
    assert statistics.relative_l2 <= statistics.allowed
    theirs = paddle.nn.BatchNorm2D(3)
    mine = torch.nn.BatchNorm2d(3)
    theirs._mean.set_value(np.full(3, 1e-5, np.float32))  # a hundredth of the bound that was
    with pytest.raises(pytest.fail.Exception, match="statistics after a call in training mode"):
        assert_parity(mine, theirs, inputs if scale == 1 else inputs / np.float32(scale))
