"""Planted faults in small pairs: each is named rightly or called unknown, and never wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers import pair_in_process
from tests.helpers.pair_faults import FAULTS, Row
from tests.parity.pair.test_pair import PAIRS


def forms(network: str) -> dict[str, str]:
    return dict(form.split("=", 1) for form in PAIRS[network][0])


@pytest.mark.parametrize("row", FAULTS.values(), ids=FAULTS)
@pytest.mark.numerical
def test_a_planted_fault_is_named_or_unknown(row: Row, tmp_path: Path) -> None:
    pair = pair_in_process.build(row.network, forms(row.network), tmp_path, row.code)
    if row.weights is not None:
        row.weights(pair.sides["torch"].model)
        pair.sides["torch"].keep()
    cause = pair.cause(tmp_path / "runs")
    assert cause is not None, "not even a difference"
    assert cause["layer"] == row.first, cause
    assert cause["cause"] in (row.causes.split() or ["unknown"]), cause
    assert row.says in cause["sentence"], cause


@pytest.mark.parametrize("network", PAIRS)
@pytest.mark.numerical
def test_without_a_fault_there_is_none(network: str, tmp_path: Path) -> None:
    assert pair_in_process.build(network, forms(network), tmp_path).cause(tmp_path / "runs") is None
