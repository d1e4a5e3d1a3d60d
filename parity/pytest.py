"""A pytest plugin: check in your own tests that two modules or functions give equal outputs.

::

    from parity.pytest import assert_parity

    def test_my_port(images):  # float32 (N, 3, 224, 224)
        assert_parity(torch_model, paddle_layer, images, names={"layer1.0.conv1": "res2a.conv0"})

``pytest_plugins = ["parity.pytest"]`` in a conftest.py brings the same as the fixture ``parity``.
On a CPU both frameworks may live in one process; GPU builds of the two clash there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from parity.comparison.compare import Comparison
from parity.modules.compare import compare_modules
from parity.modules.text import in_training, summary


def assert_parity(
    first: Any,
    second: Any,
    inputs: Any,
    names: Mapping[str, str] | None = None,
) -> list[Comparison]:
    """Fail, with the table of comparisons, unless both give equal outputs; returns the comparisons.

    ``first`` and ``second`` are modules of torch or Paddle, or functions of NumPy arrays that
    return an array or tensor; ``inputs`` one array or tensor, or a list of several, whose
    precision is that of the comparison. ``names`` maps submodules of the first to those of the
    second; they are listed as they are computed, a leaf before the container that holds it.
    Modules run as they are: put them into evaluation mode yourself. The tolerance is
    ``parity.comparison.precision``'s: rounding is measured against the second in float64.

    Raises AssertionError; ValueError and TypeError for what can't be compared.
    """
    __tracebackhide__ = True
    comparisons = compare_modules(first, second, inputs, names)
    if not all(output.passed for output in comparisons):
        pytest.fail(f"{summary(comparisons)}{in_training(first, second)}", pytrace=False)
    return comparisons


@pytest.fixture
def parity() -> Callable[..., list[Comparison]]:
    """``parity(first, second, inputs, names=None)``: see ``assert_parity``."""
    return assert_parity
