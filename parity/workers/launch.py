"""Worker processes: one framework each, an explicit environment, JSON in and JSON out.

The parent imports neither framework: ``import paddle`` sets ``OMP_NUM_THREADS=1`` for every
child, and GPU builds of the two clash in one process.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# What could make two runs differ without being in their record.
_DROPPED = ("FLAGS_", "OMP_", "KMP_", "GOMP_", "MKL_", "ONEDNN_", "DNNL_", "TORCH_", "GLOG_")
_ROOT = Path(__file__).resolve().parents[2]  # the folder that holds this package
WORKERS = {"torch": "parity.workers.worker_torch", "paddle": "parity.workers.worker_paddle"}


class WorkerError(Exception):
    """A worker process failed; the message holds the end of what it printed."""


# Added for both frameworks, by the CPU's maker. The MKL that Paddle's wheel bundles takes a
# slow path on AMD unless told that AVX2 is there: a matrix product of 77 GFLOP/s instead of 189,
# a ResNet-50 of 146 ms instead of 71 (paddlepaddle 3.3.1, two cores). torch's MKL is newer and
# does not look at the variable; on Intel's CPUs it would switch AVX-512 off.
VENDOR_SETTINGS = {"AuthenticAMD": {"MKL_DEBUG_CPU_TYPE": "5"}}

# What holds the libraries below both frameworks to older instructions, and so to other kernels.
# Whoever sets one means the workers too; as settings they stand in the record.
INSTRUCTION_SETS = (
    "ATEN_CPU_CAPABILITY",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "NPY_DISABLE_CPU_FEATURES",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
)

# Variables that glibc's allocator reads (mallopt(3)); other allocators ignore them. "keep" gives no
# memory back to the system between passes: on two cores that took torch from 2264 to 1371 ms at
# batch 32 and Paddle from 3097 to 2079 (forward passes of resnet50).
ALLOCATORS: dict[str, dict[str, str]] = {
    "default": {},
    "keep": {
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": "100000000000",
        "MALLOC_TOP_PAD_": "67108864",
    },
}


def cpu_information(field: str) -> str:
    """A field of Linux's /proc/cpuinfo, such as "model name"; "" where there is none."""
    information = Path("/proc/cpuinfo")
    for line in information.read_text().splitlines() if information.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return ""


def settings(threads: int) -> dict[str, str]:
    """The variables that a worker's environment adds, the same for both frameworks."""
    limits = {name: os.environ[name] for name in INSTRUCTION_SETS if name in os.environ}
    # MKL_DEBUG_CPU_TYPE would win against MKL's own switches (measured, paddlepaddle 3.3.1).
    limited = any(name.startswith("MKL_") for name in limits)
    vendor = {} if limited else VENDOR_SETTINGS.get(cpu_information("vendor_id"), {})
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "NVIDIA_TF32_OVERRIDE": "0",  # float32 is float32, also on GPUs with TF32
        "GLOG_minloglevel": "2",  # Paddle's start-up notes
        "PYTHONHASHSEED": "0",
        **vendor,
        **limits,
    }


def available_threads() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment(threads: int, extra: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The parent's environment without what tunes the frameworks, plus ``settings``.

    A process in it looks for modules in this suite before the folder that it runs in, so that a
    user's own ``parity.py`` is not taken for the suite's (before Python 3.11 it still is).
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_DROPPED)}
    folders = (str(_ROOT), kept.get("PYTHONPATH", ""), os.curdir)
    path = os.pathsep.join(filter(None, folders))
    ours = {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    wanted = {**kept, **ours, **settings(threads), **(extra or {})}
    return {key: value for key, value in wanted.items() if value is not None}


class Worker:
    """``python -m module JOB RESULT`` in a process of its own; use it in a ``with`` block.

    ``job`` is written to JOB as JSON. ``python`` is the interpreter of another environment, if the
    framework is installed in one; it imports this package from here. ``extra`` adds variables to
    the environment; None removes one. Raises WorkerError where the interpreter can't be run.
    """

    def __init__(
        self,
        module: str,
        job: Mapping[str, Any],
        *,
        python: str | Path | None = None,
        threads: int | None = None,
        extra: Mapping[str, str | None] | None = None,
    ) -> None:
        self._module = module
        self._folder = tempfile.TemporaryDirectory(prefix="resnet-parity-")
        self._result, self._log = (Path(self._folder.name, n) for n in ("result.json", "log"))
        job_file = Path(self._folder.name, "job.json")
        job_file.write_text(json.dumps(job))
        variables = environment(threads or available_threads(), extra)
        command = [str(python or sys.executable), "-W", "ignore", "-m", module]
        command += [str(job_file), str(self._result)]
        try:
            with open(self._log, "wb") as log:
                self._process = subprocess.Popen(
                    command, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
        except OSError as error:
            self._folder.cleanup()
            raise WorkerError(f"{command[0]}: can't be run: {error.strerror}") from None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def failed(self) -> bool:
        """Whether it has ended without a result."""
        return self._process.poll() is not None and (
            self._process.returncode != 0 or not self._result.exists()
        )

    def result(self, timeout: float | None = None) -> dict[str, Any]:
        """The JSON object that it wrote to RESULT, once it ends.

        Raises WorkerError where it failed or takes more than ``timeout`` seconds.
        """
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise WorkerError(f"{self._module}: no result after {timeout:.0f} s") from None
        if self.failed():
            last = self._log.read_text(errors="replace").strip().splitlines()[-12:]
            raise WorkerError(f"{self._module}: exit status {status}\n" + "\n".join(last))
        result: dict[str, Any] = json.loads(self._result.read_text())
        return result


def run_worker(
    module: str,
    job: Mapping[str, Any],
    *,
    python: str | Path | None = None,
    threads: int | None = None,
    extra: Mapping[str, str | None] | None = None,
    timeout: float | None = None,
) -> dict[str, Any]:
    """Run a Worker to its end; returns its result. Raises WorkerError."""
    with Worker(module, job, python=python, threads=threads, extra=extra) as worker:
        return worker.result(timeout)


def serve(work: Any) -> None:
    """In the worker: call ``work(job)`` with the job that argv names, and write its result."""
    job_file, result_file = map(Path, sys.argv[1:3])
    result_file.write_text(json.dumps(work(json.loads(job_file.read_text()))))
    leave_quickly()


def leave_quickly() -> None:
    """Let the interpreter exit without collecting garbage; call it last.

    Collecting what a framework's import has made takes 0.5 s (torch 2.14.1, paddle 3.3.1, Python
    3.11). Not to be called in one of several workers: there Paddle once ended in a segmentation
    fault, presumably since its process group was not collected.
    """
    gc.freeze()
