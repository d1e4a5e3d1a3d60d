"""The tool measures itself: how often it sees a difference where there is none, or misses one.

A group is one small run: a process per cell and round, cells forward and backward by turns, the
same clock and the same ratio as for networks. Its cells do 0, 0, 3, 5 and 10 % more work than the
plain one; each is compared with it. Groups share no process, so for each amount of work the
groups are independent trials; within a group the four verdicts share the plain cell, and no rate
is taken over them. How many groups there are is decided by time alone, never by what they say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import numpy as np

from benchmarks import intervals, record, stats
from benchmarks.cells import SWITCHES, abba
from benchmarks.timing import Plan
from parity.launch import run_worker

Say = Callable[[str], None]
Row = dict[str, Any]

# Another program's burst of 0.1 s doubles the samples that it falls on. With little patience whole
# processes were such bursts, and of slowdowns of 10 % seven in ten were found; more costs nothing
# on a quiet machine.
PLAN = Plan(warmup=3, min_count=8, min_seconds=0.03, max_noise=0.02, patience=0.5)
SIZE = 48  # of the square matrices: a product takes a few microseconds
REPETITIONS = 1000  # of the product in the plain cell: about 4 ms, and 1 % more work is 10 of them
ROUNDS = stats.MIN_PROCESSES
TIMEOUT = 60.0  # seconds; a process takes a fraction of one

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


def _process(name: str) -> dict[str, Any]:
    """One process of a cell. Raises WorkerError."""
    repetitions = REPETITIONS * (100 + CELLS[name]) // 100
    job = {"size": SIZE, "repetitions": repetitions, "plan": asdict(PLAN)}
    worker = "benchmarks.selftest_worker"
    return run_worker(worker, job, threads=1, extra=SWITCHES, timeout=TIMEOUT)


def _group() -> dict[str, Any]:
    """A run of all cells."""
    names = list(CELLS)
    found: dict[str, list[Row]] = {name: [] for name in names}
    for turn, index in abba(len(names), ROUNDS):
        found[names[index]].append({"round": turn, **_process(names[index])})
    cells = [{"name": name, "percent": CELLS[name], "processes": found[name]} for name in names]
    return {"cells": cells}


def measure(max_seconds: float, say: Say) -> record.Record:
    """As many groups as fit into ``max_seconds``, at least one. Raises WorkerError."""
    versions = {"numpy": metadata.version("numpy")}
    switches = {"threads": 1}
    said: Row = {"versions": versions, "build": [], "switches": switches, "gpu": None}
    context = record.context({"numpy": said}, "cpu", 1, SWITCHES)
    groups: list[dict[str, Any]] = []
    begin, longest = time.monotonic(), 0.0
    while not groups or time.monotonic() - begin + longest <= max_seconds:
        start = time.monotonic()
        groups.append(_group())
        longest = max(longest, time.monotonic() - start)
        verdicts = ", ".join(f"{name}: {verdict(groups[-1], name)}" for name in TARGETS)
        say(f"[{time.monotonic() - begin:.0f} s] group {len(groups)}: {verdicts}")
    settings = {
        "max_seconds": max_seconds,
        "rounds": ROUNDS,
        "plan": asdict(PLAN),
        "size": SIZE,
        "repetitions": REPETITIONS,
    }
    return {
        "schema": record.version("selftest"),
        "kind": "selftest",
        "context": context,
        "settings": settings,
        "groups": groups,
    }


def _samples(group: Mapping[str, Any], name: str) -> list[np.ndarray[Any, Any]]:
    (cell,) = (cell for cell in group["cells"] if cell["name"] == name)
    return [np.array(process["device_ns"]) for process in cell["processes"]]


def compared(group: Mapping[str, Any], name: str) -> stats.Ratio:
    """A cell of a group against its plain one."""
    found = stats.ratio(_samples(group, name), _samples(group, PLAIN), paired=True)
    assert found is not None  # the schema asks for enough processes
    return found


def verdict(group: Mapping[str, Any], name: str) -> str:
    """That of ``compared``."""
    return compared(group, name).verdict


def _is_called(group: Mapping[str, Any], name: str) -> bool:
    """A false alarm of either sign for equal work; for more work, that it was found slower."""
    said = verdict(group, name)
    return said != "no difference" if name == SAME else said == "slower"


def rates(found: Mapping[str, Any]) -> list[Row]:
    """A row per amount of work: how many groups were called a difference, and the targets."""
    rows = []
    for name, target in TARGETS.items():
        groups = found["groups"]
        called = sum(_is_called(group, name) for group in groups)
        low, high = intervals.wilson(called, len(groups))
        share = called / len(groups)
        row = {"name": name, "percent": CELLS[name], "groups": len(groups), "called": called}
        row |= {"share": share, "low": low, "high": high}
        row |= {"ratio": float(np.median([compared(group, name).value for group in groups]))}
        row |= {"at_most": target and target.at_most, "at_least": target and target.at_least}
        row |= {"reached": target and target.reached(share, low, high)}
        rows.append(row)
    return rows


def missed(found: Mapping[str, Any]) -> list[str]:
    """Names of the rows whose target was missed by more than chance."""
    return [row["name"] for row in rates(found) if row["reached"] == "no"]
