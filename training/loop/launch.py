"""Start a framework's training processes: they get a job as JSON and print to this terminal."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from parity.workers.launch import ALLOCATORS, environment

MODULES = {"torch": "training.loop.side_torch", "paddle": "training.loop.side_paddle"}
# Paddle's autocast has no effect on CPUs, as it says, and its conv2d no kernel for bfloat16 there;
# its layers take their layout when they are made, torch's from their tensors.
PRECISIONS = {"torch": ("float32", "bfloat16", "float64"), "paddle": ("float32", "float64")}
LAYOUTS = {"torch": ("NCHW", "NHWC"), "paddle": ("NCHW",)}
# A step frees more memory than a forward pass; getting it back from the system costs up to 80,000
# page faults in five steps of resnet20: about 6 % of their time on two cores.
ALLOCATOR = ALLOCATORS["keep"]
_PYTHON = [sys.executable, "-W", "ignore", "-m"]


def _torchrun(module: str, job: Path, workers: int) -> list[str]:
    options = ["--standalone", "--nproc-per-node", str(workers)]  # it finds a free port itself
    return [*_PYTHON, "torch.distributed.run", *options, "-m", module, str(job)]


def _paddle_launch(module: str, job: Path, workers: int) -> list[str]:
    options = ["--nproc_per_node", str(workers), "--host", "127.0.0.1", "--max_restart", "0"]
    options += ["--log_level", "ERROR", "--log_dir", str(job.parent / "log")]
    return [*_PYTHON, "paddle.distributed.launch", *options, *_PYTHON, module, str(job)]


_LAUNCHERS = {"torch": _torchrun, "paddle": _paddle_launch}


def _gloo() -> dict[str, str]:
    """Variables that keep gloo's connections on this machine, and have Paddle use gloo as well."""
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    return {"GLOO_SOCKET_IFNAME": loopback, "PADDLE_DISTRI_BACKEND": "gloo"}


def start(framework: str, job: Mapping[str, Any], python: str | None = None) -> int:
    """Run a job to its end; returns the exit status. What went wrong is on stderr.

    ``python`` is the interpreter of one worker, if it is not this one.

    ``job["how"]`` has the fields of a ``side.How``. Several workers are started and watched by the
    framework's own launcher, which ends all of them when one fails. SIGTERM ends the job first, and
    then this process. Must be called in the main thread.
    """
    how = job["how"]
    workers, more = how.get("workers", 1), {}
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        file = Path(folder, "job.json")
        file.write_text(json.dumps(job))
        command = [python or _PYTHON[0], *_PYTHON[1:], MODULES[framework], str(file)]
        if workers > 1:
            command = _LAUNCHERS[framework](MODULES[framework], file, workers)
            more = {"PYTHONWARNINGS": "ignore", **({} if how.get("device") == "gpu" else _gloo())}
        variables = environment(how["threads"], {**ALLOCATOR, **more})
        before = signal.signal(signal.SIGTERM, _leave)
        # To stderr: Paddle's launcher has its first worker's progress on stdout.
        with _lifeline() as stdin:
            process = subprocess.Popen(command, env=variables, stdin=stdin, stdout=2)
            os.close(stdin)
            try:
                return process.wait()
            except SystemExit:  # only we got the SIGTERM; a terminal interrupts the job as well
                process.terminate()
                raise
            finally:
                process.wait()  # a launcher ends its workers first
                signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _lifeline() -> Iterator[int]:
    """The stdin of a job: a pipe that closes when this process is gone, see ``tasks``.

    The caller closes its own copy of it.
    """
    stdin, ours = os.pipe()
    try:
        yield stdin
    finally:
        os.close(ours)


def _leave(number: int, _: object) -> None:
    raise SystemExit(128 + number)
