"""A precision that makes a number infinite is refused, with the tensor's name and the way out."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import weight_port
from parity import seeded
from parity.__main__ import main
from parity.comparison.precision import PRECISIONS, overflow
from parity.run.inputs import UsageError, check_casts
from tests.helpers import commands

IMAGES = np.zeros((1, 3, 2, 2), np.float32)


@pytest.mark.parametrize(
    ("value", "dtype", "precision", "others"),
    [
        (65520, np.float32, "float16", "float64, float32, tf32, bfloat16"),
        (-1e30, np.float32, "float16", "float64, float32, tf32, bfloat16"),
        (7e4, np.float64, "float16", "float64, float32, tf32, bfloat16"),
        (3.4e38, np.float32, "bfloat16", "float64, float32, tf32"),
        (-3.4e38, np.float64, "bfloat16", "float64, float32, tf32"),
        (1e39, np.float64, "float32", "float64"),
        (-1e300, np.float64, "tf32", "float64"),
        (1e5, ml_dtypes.bfloat16, "float16", "float64, float32, tf32, bfloat16"),
    ],
)
def test_what_would_be_infinite_is_refused(
    value: float, dtype: type, precision: str, others: str
) -> None:
    array = np.array([[0, np.nan], [value, np.inf]], dtype)
    with pytest.raises(UsageError) as error:
        check_casts({"torch": {"fc_0.w_0": array}}, IMAGES, ("float64", precision))
    message = str(error.value)
    assert message.startswith("torch's fc_0.w_0: holds ")
    assert f"which {precision} makes infinite" in message
    assert message.endswith(f"--precision {others}")


@pytest.mark.parametrize(
    ("value", "dtype", "precision"),
    [
        (65504, np.float32, "float16"),
        (65519, np.float32, "float16"),  # rounds down
        (3.38e38, np.float32, "bfloat16"),
        (3.4e38, np.float64, "float32"),
        (np.inf, np.float32, "float16"),  # infinite already, and said elsewhere
        (np.nan, np.float64, "float32"),
        (2**40, np.int64, "float16"),  # a counter: never cast
    ],
)
def test_what_stays_finite_is_not(value: float, dtype: type, precision: str) -> None:
    assert overflow(np.array([value], dtype), precision) is None
    check_casts({"paddle": {"w": np.array([value], dtype)}}, IMAGES, (precision,))


def test_images_and_no_values_at_all() -> None:
    with pytest.raises(UsageError, match=r"^images: holds 100000, which float16"):
        check_casts({}, IMAGES + np.float32(1e5), ("float16",))
    assert all(overflow(np.zeros(0, np.float32), name) is None for name in PRECISIONS)


def test_the_command_refuses_it(tmp_path: Path) -> None:
    tensors = seeded.draw("resnet20", 0)
    tensors["bn_conv1_variance"] = tensors["bn_conv1_variance"] + np.float32(1e5)
    path = tmp_path / "w.safetensors"
    weight_port.write(path, tensors)
    words = ("--weights", path, "--precision", "float16")
    done = commands.run(main, "dump", "torch", "resnet20", tmp_path / "dump", *words)
    assert done.returncode == 2, done.stdout
    assert "torch's bn_conv1_variance: holds 100001, which float16 makes infinite" in done.stderr
    assert not (tmp_path / "dump").exists()
    done = commands.run(main, "resnet20", *words, "--out", tmp_path / "out")
    assert done.returncode == 2, done.stdout
    assert "bn_conv1_variance: holds 100001" in done.stderr
