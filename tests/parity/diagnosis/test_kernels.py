"""The NumPy layers behind the diagnosis, held against torch in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from parity.diagnosis import kernels
from tests.helpers import small_network as faulty
from tests.helpers.small_network import in_torch, torch_outputs


@pytest.mark.parametrize("name", ["resnet18_vd", "resnext50_32x4d", "se_resnet18_vd"])
@pytest.mark.numerical
def test_the_kernels_compute_what_torch_does(name: str) -> None:
    """Groups, pooled shortcuts, gates and odd sizes, layer by layer in float64."""
    weights = faulty.seeded.draw(name, 2, 10)
    fed = np.random.default_rng(0).standard_normal((1, 3, 58, 42))
    ours = dict(faulty.run(name, weights, fed))
    theirs = torch_outputs(in_torch(name, weights, 10, torch.float64), name, fed)
    assert set(ours) == set(theirs)
    for layer, output in ours.items():
        assert output.shape == theirs[layer].shape, layer
        assert faulty.relative(output, theirs[layer]) < 1e-12, layer


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("size", [(16, 16), (17, 12), (9, 20), (7, 7)])
@pytest.mark.numerical
def test_the_pools_lie_as_torchs_do(size: tuple[int, int], padding: int, ceil_mode: bool) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, *size))
    given, ends = torch.from_numpy(x), (padding, padding)
    largest = F.max_pool2d(given, 3, 2, padding, ceil_mode=ceil_mode).numpy()
    np.testing.assert_array_equal(kernels.max_pool(x, 3, 2, ends, ceil_mode), largest)
    mean = F.avg_pool2d(given, 3, 2, padding, ceil_mode, count_include_pad=False).numpy()
    ours = kernels.average_pool(x, 3, 2, ends, ceil_mode)
    np.testing.assert_allclose(ours, mean, rtol=1e-12, atol=1e-14)
    counted = F.avg_pool2d(given, 3, 2, padding).numpy()
    ours = kernels.average_pool(x, 3, 2, ends, count_padding=True)
    np.testing.assert_allclose(ours, counted, rtol=1e-12, atol=1e-14)
