"""NaN, infinity, zeros and equal logits: a verdict, a record and a page, never a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import weight_port
from parity import seeded
from parity.__main__ import main
from parity.run.follower import _ranks
from tests.helpers import commands

Weights = dict[str, np.ndarray]


@pytest.mark.parametrize(
    "logits",
    [np.zeros((2, 3)), np.full((2, 3), np.nan), np.array([[1.0, 2.0], [np.inf, 0.0]]),
     np.array([[1.0, 2.0], [3.0, 3.0]]), np.full((1, 4), 1e300)],
)  # fmt: skip
def test_logits_that_rank_nothing_have_no_ranking(logits: np.ndarray) -> None:
    assert not _ranks(logits)
    assert _ranks(np.array([[1.0, 2.0], [2.0, 1.0]]))


def zero_head(weights: Weights) -> None:
    weights["fc_0.w_0"][:] = 0
    weights["fc_0.b_0"][:] = 0


def saturated(weights: Weights) -> None:
    weights["fc_0.w_0"] *= np.float32(1e30)


def all_nan(weights: Weights) -> None:
    for array in weights.values():
        array[:] = np.nan


def infinite(weights: Weights) -> None:
    weights["bn_conv1_scale"][3] = np.inf


def swapped(weights: Weights) -> None:
    weights["bn_conv1_mean"], weights["bn_conv1_variance"] = (
        weights["bn_conv1_variance"], weights["bn_conv1_mean"] - 1,
    )  # fmt: skip


def dead(weights: Weights) -> None:
    weights["bn_conv1_offset"][:] = -1e4


@pytest.mark.parametrize(
    ("change", "both", "status"),
    [(zero_head, True, 0), (saturated, True, 0), (all_nan, True, 1), (infinite, False, 1),
     (swapped, False, 1), (dead, False, 1)],
)  # fmt: skip
def test_there_is_always_a_verdict_a_record_and_a_page(
    tmp_path: Path, change: Callable[[Weights], None], both: bool, status: int
) -> None:
    sound = seeded.draw("resnet20", 0)
    broken = {name: array.copy() for name, array in sound.items()}
    change(broken)
    weight_port.write(tmp_path / "port.safetensors", broken)
    weight_port.write(tmp_path / "own.safetensors", broken if both else sound)
    done = commands.run(
        main, "resnet20", "--weights", tmp_path / "own.safetensors", "--torch-weights",
        tmp_path / "port.safetensors", "--precision", "float64", "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("EQUAL" if not status else "DIFFERENT")
    record = json.loads((tmp_path / "out" / "resnet20.json").read_text())
    assert record["verdict"] in ("EQUAL", "DIFFERENT")
    assert (tmp_path / "out" / "resnet20.html").read_text().startswith("<!doctype html>")
    assert "Traceback" not in done.stderr
