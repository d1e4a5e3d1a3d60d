"""Worker processes: one framework each, an explicit environment, JSON in and JSON out.

The parent imports neither framework: ``import paddle`` sets ``OMP_NUM_THREADS=1`` for every
child, and GPU builds of the two clash in one process.
"""

from __future__ import annotations

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


class WorkerError(Exception):
    """A worker process failed; the message holds the end of what it printed."""


# Added on both frameworks' side, by the CPU's maker. The MKL that Paddle's wheel bundles takes a
# slow path on AMD unless told that AVX2 is there: a matrix product of 77 GFLOP/s instead of 189,
# a ResNet-50 of 146 ms instead of 71 (paddlepaddle 3.3.1, two cores). torch's MKL is newer and
# does not look at the variable; on Intel's CPUs it would switch AVX-512 off.
VENDOR_SETTINGS = {"AuthenticAMD": {"MKL_DEBUG_CPU_TYPE": "5"}}


def cpu_information(field: str) -> str:
    """A field of Linux's /proc/cpuinfo, such as "model name"; "" where there is none."""
    information = Path("/proc/cpuinfo")
    for line in information.read_text().splitlines() if information.exists() else ():
        if line.startswith(field):
            return line.partition(":")[2].strip()
    return ""


def settings(threads: int) -> dict[str, str]:
    """The variables that a worker's environment adds: on both frameworks' side the same."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "NVIDIA_TF32_OVERRIDE": "0",  # float32 is float32, also on GPUs with TF32
        "GLOG_minloglevel": "2",  # Paddle's start-up notes
        "PYTHONHASHSEED": "0",
        **VENDOR_SETTINGS.get(cpu_information("vendor_id"), {}),
    }


def available_threads() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment(threads: int, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The parent's environment without what tunes the frameworks, plus ``settings``."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_DROPPED)}
    return {**kept, **settings(threads), **(extra or {})}


def run_worker(
    module: str,
    job: Mapping[str, Any],
    *,
    threads: int | None = None,
    extra: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> dict[str, Any]:
    """Run ``python -m module JOB RESULT`` and return the JSON object that it writes to RESULT.

    ``job`` is written to JOB as JSON. Raises WorkerError where the process fails or takes more
    than ``timeout`` seconds.
    """
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        job_file, result_file = Path(folder, "job.json"), Path(folder, "result.json")
        job_file.write_text(json.dumps(job))
        command = [sys.executable, "-W", "ignore", "-m", module, str(job_file), str(result_file)]
        try:
            done = subprocess.run(
                command,
                env=environment(threads or available_threads(), extra),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise WorkerError(f"{module}: no result after {timeout:.0f} s") from None
        if done.returncode or not result_file.exists():
            said = (done.stderr or done.stdout).strip().splitlines()[-12:]
            raise WorkerError(f"{module}: exit status {done.returncode}\n" + "\n".join(said))
        result: dict[str, Any] = json.loads(result_file.read_text())
        return result


def serve(work: Any) -> None:
    """The other end, in the worker: ``work(job)`` with the job from argv, its result to a file."""
    job_file, result_file = map(Path, sys.argv[1:3])
    result_file.write_text(json.dumps(work(json.loads(job_file.read_text()))))
