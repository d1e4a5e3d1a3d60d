"""The rate that a machine reaches with the frameworks: what a network is held against."""

from __future__ import annotations

from typing import Any

from benchmarks.harness import frameworks
from parity.workers.launch import WorkerError


def peak(
    framework: str, turn: int, device: str, threads: int, precision: str = "fp32"
) -> dict[str, Any]:
    """The machine's peaks in a process of a framework; one that dies has an error alone.

    A process per precision: a kernel that is not there may end it.
    """
    entry = {"framework": framework, "round": turn, "precision": precision, "error": None}
    # What is copied has no precision, so one is enough.
    job = {"device": device, "precision": precision, "copies": precision == "fp32"}
    try:
        return {**entry, **frameworks.start(framework, "peak", threads, **job)}
    except WorkerError as error:
        return {**entry, "products": [], "error": str(error)}
