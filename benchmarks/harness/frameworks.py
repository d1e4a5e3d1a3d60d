"""The frameworks as the parent sees them: which are there, on what device, and how to start one."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from benchmarks.grid.cells import WORKERS, switches
from benchmarks.harness.lasting import Say, heartbeat
from benchmarks.records import marks
from parity.workers.launch import ALLOCATORS, WorkerError, run_worker

REFERENCES = {"torch": "pytorch_impl", "paddle": "paddle_impl"}  # the first that is installed
TIMEOUT = 1800.0  # seconds; a process measures for a few of them, so this one hangs

# Framework -> the interpreter of its own environment, where it has one. The command line fills it
# (--torch-python); for the others it is sys.executable.
PYTHONS: dict[str, str] = {}

Descriptions = dict[str, dict[str, Any]]  # framework -> what its process says of itself


class RunError(Exception):
    """Nothing can be measured as asked; the message says why and what can."""


def extra_environment(
    threads: int, precision: str = "fp32", allocator: str = "default"
) -> dict[str, str | None]:
    """What a process gets beside the usual; without threads, none of their variables is set."""
    unset = {} if threads else {"OMP_NUM_THREADS": None, "MKL_NUM_THREADS": None}
    return {**switches(precision), **ALLOCATORS[allocator], **unset}


def start(framework: str, task: str, threads: int, **job: Any) -> dict[str, Any]:
    """Run a task in a fresh process of a framework, on the CPU unless told. Raises WorkerError."""
    whole = {"task": task, "device": "cpu", "threads": threads, **job}
    labels = {key: job[key] for key in ("precision", "allocator") if key in job}
    extra = extra_environment(threads, **labels)
    how: dict[str, Any] = {"threads": threads, "extra": extra, "timeout": TIMEOUT}
    return run_worker(WORKERS[framework], whole, python=PYTHONS.get(framework), **how)


# What has to be there for a framework's process to start.
PACKAGES = {"torch": ("torch",), "paddle": ("paddle",), "engines": ("onnxruntime", "openvino")}


def is_installed(framework: str) -> bool:
    """Whether all that ``framework`` needs can be found; nothing is imported.

    Raises RunError where its interpreter can't be run.
    """
    packages, python = PACKAGES[framework], PYTHONS.get(framework)
    if python is None:
        return all(importlib.util.find_spec(package) is not None for package in packages)
    code = (
        "import importlib.util, sys; sys.exit(not all(map(importlib.util.find_spec, sys.argv[1:])))"
    )
    try:
        done = subprocess.run([python, "-c", code, *packages], check=False, capture_output=True)
    except OSError as error:
        reason = f"--{framework}-python {python}: can't be run: {error.strerror}"
        raise RunError(f"{reason}; name an interpreter") from None
    return done.returncode == 0


def reference_framework() -> str:
    """The framework that weights and references come from. Raises RunError where there is none."""
    for framework in REFERENCES:
        if is_installed(framework):
            return framework
    raise RunError(
        "neither torch nor paddle is installed: pip install 'resnet-parity[torch,paddle]'"
    )


def describe(frameworks: Iterable[str], threads: int) -> tuple[Descriptions, dict[str, str]]:
    """What each framework says of itself, and the errors of those that can't."""
    descriptions, errors = {}, {}
    for framework in sorted(frameworks):
        if not is_installed(framework):
            install = f"pip install 'resnet-parity[{framework}]'"
            errors[framework] = f"{marks.ABSENT}: {framework}; {install}, or choose other rows"
            continue
        try:
            descriptions[framework] = start(framework, "describe", threads)
        except WorkerError as error:
            errors[framework] = str(error)
    return descriptions, errors


def ask(frameworks: Iterable[str], threads: int, say: Say) -> tuple[Descriptions, dict[str, str]]:
    """As ``describe``, and says what it does and what is not there."""
    names = sorted(frameworks)
    with heartbeat(say, f"asking {' and '.join(names)} for versions and devices"):
        descriptions, errors = describe(names, threads)
    for error in errors.values():
        say(error.strip().splitlines()[-1])
    return descriptions, errors


def require(frameworks: Iterable[str], threads: int, say: Say) -> Descriptions:
    """As ``ask``, for a run that needs each of them. Raises RunError where one can't run."""
    descriptions, errors = ask(frameworks, threads, say)
    if errors:
        raise RunError("; ".join(errors.values()))
    return descriptions


def set_aside(
    asked: str, descriptions: Descriptions, errors: dict[str, str], say: Say
) -> Descriptions:
    """The descriptions of those that can run as asked; where that is one at least, the others fail.

    A CPU build beside one that has the GPU is no reason to measure nothing: it gets an error.
    """
    able = {
        name: about
        for name, about in descriptions.items()
        if name not in REFERENCES or about["gpu"] is not None
    }
    if asked != "gpu" or not able.keys() & REFERENCES.keys():
        return dict(descriptions)
    for name in descriptions.keys() - able.keys():
        errors[name] = (
            f"{marks.ABSENT}: {name} for this GPU; get such a build, or choose other rows"
        )
        say(errors[name])
    return able


def choose_device(
    asked: str, descriptions: Mapping[str, Mapping[str, Any]], say: Callable[[str], None]
) -> str:
    """Cpu or gpu for "auto", "cpu" or "gpu": one device for all frameworks of a run.

    Raises RunError where a GPU is wanted that a framework can't use.
    """
    # The engines run on the CPU alone: they have no say, and no rows on a GPU.
    gpus = {name: about["gpu"] for name, about in descriptions.items() if name in REFERENCES}
    lacking = [framework for framework, gpu in gpus.items() if gpu is None]
    if asked == "gpu" and lacking:
        raise RunError(f"--device gpu: {' and '.join(lacking)} can use none; try --device cpu")
    if asked == "auto" and 0 < len(lacking) < len(gpus):
        say(f"device cpu: {' and '.join(lacking)} can use no GPU, and all rows run on one device")
    return "cpu" if asked == "cpu" or lacking or not gpus else "gpu"
