"""The rows of a selftest: rates of verdicts, and whether they reach their targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import stats

Row = dict[str, Any]

PLAIN, SAME = "plain", "same"

# The cells of a group with the work each adds, in %. The plain one stands in the middle: near all.
CELLS = {"3 %": 3, SAME: 0, PLAIN: 0, "5 %": 5, "10 %": 10}


@dataclass(frozen=True)
class Target:
    """What the share of groups that are called a difference should be."""

    at_most: float = 1.0
    at_least: float = 0.0

    def reached(self, share: float, low: float, high: float) -> str:
        """ "yes", or "no" where the share's interval has no value that would do, or "undecided"."""
        if self.at_least <= share <= self.at_most:
            return "yes"
        return "no" if high < self.at_least or low > self.at_most else "undecided"


TARGETS = {SAME: Target(at_most=0.05), "3 %": None, "5 %": None, "10 %": Target(at_least=0.9)}


def _samples(group: Mapping[str, Any], name: str) -> list[np.ndarray[Any, Any]]:
    (cell,) = (cell for cell in group["cells"] if cell["name"] == name)
    return [np.array(process["device_ns"]) for process in cell["processes"]]


def compared(group: Mapping[str, Any], name: str) -> stats.Ratio:
    """A cell of a group against its plain one."""
    ratio = stats.ratio(_samples(group, name), _samples(group, PLAIN), paired=True)
    assert ratio is not None  # the schema asks for enough processes
    return ratio


def verdict(group: Mapping[str, Any], name: str) -> str:
    """That of ``compared``."""
    return compared(group, name).verdict


def _is_called(group: Mapping[str, Any], name: str) -> bool:
    """A false alarm of either sign for equal work; for more work, that it was found slower."""
    said = verdict(group, name)
    return said != "no difference" if name == SAME else said == "slower"


def rates(record: Mapping[str, Any]) -> list[Row]:
    """A row per amount of work: how many groups were called a difference, and the targets."""
    rows = []
    for name, target in TARGETS.items():
        groups = record["groups"]
        called = sum(_is_called(group, name) for group in groups)
        low, high = stats.wilson(called, len(groups))
        share = called / len(groups)
        row = {"name": name, "percent": CELLS[name], "groups": len(groups), "called": called}
        row |= {"share": share, "low": low, "high": high}
        row |= {"ratio": float(np.median([compared(group, name).value for group in groups]))}
        row |= {"at_most": target and target.at_most, "at_least": target and target.at_least}
        row |= {"reached": target and target.reached(share, low, high)}
        rows.append(row)
    return rows


def missed(record: Mapping[str, Any]) -> list[str]:
    """Names of the rows whose target was missed by more than chance."""
    return [row["name"] for row in rates(record) if row["reached"] == "no"]
