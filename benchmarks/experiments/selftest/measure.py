"""The tool measures itself: how often it sees a difference where there is none, or misses one.

A group is one small run: a process per cell and round, cells forward and backward by turns, the
same clock and the same ratio as for networks. Its cells do 0, 0, 3, 5 and 10 % more work than the
plain one; each is compared with it. Groups share no process, so for each amount of work the
groups are independent trials; within a group the four verdicts share the plain cell, and no rate
is taken over them. How many groups there are is decided by time alone, never by what they say.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from importlib import metadata
from typing import Any

from benchmarks import stats
from benchmarks.devices.timing import Plan
from benchmarks.experiments.selftest.rows import CELLS, TARGETS, Row, verdict
from benchmarks.grid.cells import SWITCHES, abba
from benchmarks.records import record
from parity.workers.launch import run_worker

Say = Callable[[str], None]

# Another program's burst of 0.1 s doubles the samples that it falls on. With little patience whole
# processes were such bursts, and of slowdowns of 10 % seven in ten were found; more costs nothing
# on a quiet machine.
PLAN = Plan(warmup=3, min_count=8, min_seconds=0.03, max_noise=0.02, patience=0.5)
SIZE = 48  # of the square matrices: a product takes a few microseconds
REPETITIONS = 1000  # of the product in the plain cell: about 4 ms, and 1 % more work is 10 of them
ROUNDS = stats.MIN_PROCESSES
TIMEOUT = 60.0  # seconds; a process takes a fraction of one


def _process(name: str) -> dict[str, Any]:
    """One process of a cell. Raises WorkerError."""
    repetitions = REPETITIONS * (100 + CELLS[name]) // 100
    job = {"size": SIZE, "repetitions": repetitions, "plan": asdict(PLAN)}
    worker = "benchmarks.experiments.selftest.worker"
    return run_worker(worker, job, threads=1, extra=SWITCHES, timeout=TIMEOUT)


def _group() -> dict[str, Any]:
    """A run of all cells."""
    names = list(CELLS)
    processes: dict[str, list[Row]] = {name: [] for name in names}
    for turn, index in abba(len(names), ROUNDS):
        processes[names[index]].append({"round": turn, **_process(names[index])})
    cells = [{"name": name, "percent": CELLS[name], "processes": processes[name]} for name in names]
    return {"cells": cells}


def measure(max_seconds: float, say: Say) -> record.Record:
    """As many groups as fit into ``max_seconds``, at least one. Raises WorkerError."""
    versions = {"numpy": metadata.version("numpy")}
    switches = {"threads": 1}
    description: Row = {"versions": versions, "build": [], "switches": switches, "gpu": None}
    context = record.context({"numpy": description}, "cpu", 1, SWITCHES)
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
