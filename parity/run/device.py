"""Where a run takes place: on a GPU only if both frameworks can use one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping

from parity.run.inputs import UsageError
from parity.run.results import FRAMEWORKS
from parity.seeded import WORKERS
from parity.workers.launch import WorkerError, run_worker

CHOICES = ("auto", "cpu", "gpu")


def _gpus(pythons: Mapping[str, str]) -> dict[str, str]:
    """Each framework's GPU, "" where it has none."""
    found = {}
    for framework in FRAMEWORKS:
        python = pythons.get(framework)
        found[framework] = (
            run_worker(WORKERS[framework], {"task": "describe"}, python=python)["gpu"] or ""
        )
    return found


def choose(asked: str, pythons: Mapping[str, str], say: Callable[[str], None]) -> str:
    """cpu or gpu. Raises UsageError for a GPU that one of the frameworks can't use."""
    # A driver brings the command; without one there is no need to start the frameworks to ask.
    if asked == "cpu" or (asked == "auto" and shutil.which("nvidia-smi") is None):
        return "cpu"
    try:
        gpus = _gpus(pythons)
    except WorkerError:
        if asked == "auto":  # the run itself will say what is wrong
            return "cpu"
        raise
    without = [framework for framework, gpu in gpus.items() if not gpu]
    if not without:
        return "gpu"
    reason = f"{' and '.join(without)} can't use a GPU here"
    if asked == "gpu":
        raise UsageError(f"--device gpu: {reason}; install its GPU build, or pass --device cpu")
    say(f"on the CPU: {reason}")
    return "cpu"
