"""Where a run takes place: on a GPU only if both frameworks can use one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping

from parity.run.inputs import UsageError
from parity.run.results import FRAMEWORKS
from parity.workers.launch import WORKERS, WorkerError, run_worker

CHOICES = ("auto", "cpu", "gpu")


def _gpus(pythons: Mapping[str, str]) -> dict[str, str]:
    """The name of each framework's GPU, "" where it has none. Raises WorkerError."""
    job = {"task": "describe"}
    return {
        framework: run_worker(WORKERS[framework], job, python=pythons.get(framework))["gpu"] or ""
        for framework in FRAMEWORKS
    }


def choose(asked: str, pythons: Mapping[str, str], say: Callable[[str], None]) -> str:
    """cpu or gpu, for what was ``asked``, one of CHOICES.

    Raises UsageError for gpu where one of the frameworks can't use one, and WorkerError where it
    can't be started to ask.
    """
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
