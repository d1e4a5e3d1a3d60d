"""A process that has imported a framework, and forks for every worker that a test starts.

``python -m tests.helpers.fork_server MODULE`` with a socket as its stdin; ``forked_workers`` is the
other end.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import socket
import struct
import sys
import traceback
from typing import Any

MESSAGE = struct.Struct("i")  # first the fork's process id, then its exit status
# What a worker imports later: torch's first optimizer takes 2.4 s for it.
TRAINING = ("training.loop.side_torch", "parity.workers.worker_torch",
            "benchmarks.experiments.train.worker_torch")  # fmt: skip
LATER = dict.fromkeys(TRAINING, "torch._dynamo")


def serve(module: str) -> None:
    """Import a module, and fork for every request that comes on stdin, until it closes."""
    control = socket.socket(fileno=os.dup(0))
    importlib.import_module(module)
    forks: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for ready in select.select([control.fileno(), *forks], [], [])[0]:
            if ready != control.fileno():
                _tell(ready, *forks.pop(ready))
                continue
            request, streams, _, _ = socket.recv_fds(control, 1 << 20, 4)
            if not request:
                return
            pid, channel = _fork(json.loads(request), streams)
            forks[os.pidfd_open(pid)] = pid, channel


def _tell(descriptor: int, pid: int, channel: socket.socket) -> None:
    """Send how a fork has ended."""
    os.close(descriptor)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with channel, contextlib.suppress(BrokenPipeError):  # nobody may wait for it any more
        channel.send(MESSAGE.pack(status))


def _fork(request: list[str], descriptors: list[int]) -> tuple[int, socket.socket]:
    *streams, channel = descriptors
    with contextlib.suppress(Exception):  # the fork will say what is wrong with it
        for module in (request[1], LATER.get(request[1], request[1])):
            importlib.import_module(module)  # for what it imports: once, and not in every fork
    gc.freeze()  # a collection in the fork would touch, and so copy, all that was imported
    pid = os.fork()  # ends the threads of NumPy's OpenBLAS, which starts them again when it needs
    if pid == 0:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.closerange(3, max(descriptors) + 1)
        os._exit(_run(*request))
    assert len(os.listdir("/proc/self/task")) == 1, "the fork has lost a thread"
    for stream in streams:
        os.close(stream)
    told = socket.socket(fileno=channel)
    told.send(MESSAGE.pack(pid))
    return pid, told


def _run(folder: str, module: str, *arguments: str) -> int:
    """``python -m module`` with arguments in a folder; returns the exit status."""
    os.chdir(folder)
    sys.argv = [module, *arguments]
    sys.path.append(folder)  # as `launch.environment` has it: after the suite
    sys.modules.pop(module, None)
    status: Any = 1
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code or 0
        if isinstance(status, str):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return int(status)


if __name__ == "__main__":
    serve(sys.argv[1])
