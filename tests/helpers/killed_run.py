"""``python -m tests.helpers.killed_run N ARGUMENT…``: benchmarks with workers that start nothing.

The N-th process of the run (0: none) kills this one with SIGKILL in place of an answer.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from benchmarks.__main__ import main
from benchmarks.experiments.forward import measure
from benchmarks.harness import frameworks

ANSWERS: dict[str, dict[str, Any]] = {
    "describe": {"versions": {}, "build": [], "switches": {}, "gpu": None},
    "reference": {},
    "peak": {"products": [{"n": 100, "device_ns": [200_000]}]},
}
asked: list[str] = []


def start(framework: str, task: str, threads: int, **job: Any) -> dict[str, Any]:
    """An answer in place of a worker's process, or the end of this one."""
    if task in ("measure", "peak"):
        asked.append(task)
        if len(asked) == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
    if task in ANSWERS:
        return ANSWERS[task]
    times = [1_000_000 + os.getpid() + len(asked)] * 5  # no two processes have the same
    return {
        "prepare_ns": 1,
        "first_call_ns": 1,
        "parity": {"max_abs": 0.0, "relative_l2": 0.0, "error": None},
        "samples": dict.fromkeys(("device_ns", "wall_ns", "enqueue_ns"), times),
        "memory": {"max_rss_bytes": 1},
        "libraries": [],
    }


if __name__ == "__main__":
    frameworks.start = start
    measure.make_weights = lambda *_: "resnet18.pth"
    raise SystemExit(main(sys.argv[2:]))
