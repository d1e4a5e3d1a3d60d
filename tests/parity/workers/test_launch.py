"""A worker's environment: without what tunes the frameworks, with what was asked for."""

from __future__ import annotations

import pytest

from benchmarks.records import record
from parity.workers import launch

AMD = {"vendor_id": "AuthenticAMD"}


@pytest.fixture(autouse=True)
def amd(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor of AMD's, and no variable of libraries set."""
    monkeypatch.setattr(launch, "cpu_information", lambda field: AMD.get(field, ""))
    for name in (*launch.INSTRUCTION_SETS, "MKL_NUM_STRIPES"):
        monkeypatch.delenv(name, raising=False)


def test_older_instructions_reach_the_workers_and_the_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not set(launch.INSTRUCTION_SETS) & set(launch.environment(1))
    monkeypatch.setenv("MKL_NUM_STRIPES", "2")
    asked = {name: f"value of {name}" for name in launch.INSTRUCTION_SETS}
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    assert launch.environment(1).items() >= asked.items()
    assert launch.settings(1).items() >= asked.items()
    assert record.context({}, "cpu", 1, {})["environment"].items() >= asked.items()
    assert "MKL_NUM_STRIPES" not in launch.environment(1)


@pytest.mark.parametrize("name", launch.INSTRUCTION_SETS)
def test_amds_setting_gives_way_to_mkls_own_switches(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert launch.environment(1)["MKL_DEBUG_CPU_TYPE"] == "5"
    monkeypatch.setenv(name, "COMPATIBLE")
    assert ("MKL_DEBUG_CPU_TYPE" in launch.environment(1)) != name.startswith("MKL_")
