"""What a run is given: sizes at which equal frameworks would differ are refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from parity.__main__ import main
from parity.run.inputs import UsageError, check_pixels
from tests.helpers import commands


@pytest.mark.parametrize(
    ("model", "largest_refused"),
    [("resnet18", 32), ("resnet50", 32), ("resnet152", 32), ("resnet20", 4), ("vgg16_bn", 31)],
)
def test_a_batch_norm_that_sees_one_pixel_is_refused(model: str, largest_refused: int) -> None:
    for pixels in (largest_refused, largest_refused // 2):
        with pytest.raises(UsageError, match=rf"at least {largest_refused + 1} pixels \(--size\)"):
            check_pixels(model, pixels, "training mode takes their statistics")
    for pixels in (largest_refused + 1, 2 * largest_refused):
        check_pixels(model, pixels, "training mode takes their statistics")


@pytest.mark.parametrize("model", ["lenet5", "alexnet", "vgg16", "nin_cifar"])
def test_a_network_without_batch_norms_has_no_such_size(model: str) -> None:
    check_pixels(model, 32, "training mode takes their statistics")


def test_the_command_refuses_before_anything_runs(tmp_path: Path) -> None:
    done = commands.run(main, "resnet50", "--size", "32", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "weights drawn from a seed are calibrated on them" in done.stderr
    assert not (tmp_path / "out").exists()
