"""A command as a process: how long it takes, and how much anonymous memory it has at its peak."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

TIMEOUT = 300.0  # seconds; the slowest command takes ten
INTERVAL = 0.001  # seconds between two looks at a process' memory
MIN_LOOKS = 20  # fewer say nothing of a peak


class CommandError(Exception):
    """A command failed; the message holds the end of what it printed."""


@dataclass(frozen=True)
class Run:
    """One process: when it was started and how long it took, in ns, itself and its children."""

    begin: int
    wall_ns: int
    cpu_ns: int  # user and system time, of the children that it waited for too


def _check(command: Sequence[str], status: int, said: bytes) -> None:
    code = os.waitstatus_to_exitcode(status)
    if code:
        lines = said.decode(errors="replace").strip().splitlines()[-12:]
        raise CommandError(f"{' '.join(command)}: exit status {code}\n" + "\n".join(lines))


def run(command: Sequence[str], environment: Mapping[str, str]) -> Run:
    """Run a command to its end, its output thrown away. Raises CommandError where it fails."""
    with tempfile.TemporaryFile() as errors:
        begin = time.perf_counter_ns()
        process = _start(command, environment, errors)
        # wait4 blocks; subprocess' own wait with a timeout looks only every few milliseconds, and
        # its kill() may take the status that wait4 waits for.
        alarm = threading.Timer(TIMEOUT, os.kill, (process.pid, signal.SIGKILL))
        alarm.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter_ns() - begin
        alarm.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        _check(command, status, errors.read())
    return Run(begin, wall, round((used.ru_utime + used.ru_stime) * 1e9))


def _start(
    command: Sequence[str], environment: Mapping[str, str], errors: IO[bytes]
) -> subprocess.Popen[bytes]:
    null = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, stdin=null, stdout=null, stderr=errors)


def _anonymous(pid: int) -> int:
    """RssAnon of a process in bytes: resident memory that no file is behind; proc_pid_status(5)."""
    for line in Path(f"/proc/{pid}/status").read_bytes().splitlines():
        if line.startswith(b"RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0  # it has ended and is not reaped yet


def peak_anonymous(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, int]:
    """(largest RssAnon in bytes, how often it was looked at) of a command run to its end.

    Linux only. A peak that comes and goes between two looks, a millisecond apart, is missed: the
    kernel keeps a high-water mark of all resident memory alone, mapped files included. Raises
    CommandError where the command fails, or was looked at too seldom.
    """
    with tempfile.TemporaryFile() as errors:
        process = _start(command, environment, errors)
        # Under a real-time policy, which it inherits, it would not let this process look.
        os.sched_setscheduler(process.pid, os.SCHED_OTHER, os.sched_param(0))
        peak = looks = pid = 0
        end = time.monotonic() + TIMEOUT
        while not pid:
            peak, looks = max(peak, _anonymous(process.pid)), looks + 1
            time.sleep(INTERVAL)
            if time.monotonic() > end:
                os.kill(process.pid, signal.SIGKILL)
            pid, status = os.waitpid(process.pid, os.WNOHANG)
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        _check(command, status, errors.read())
    if looks < MIN_LOOKS:
        raise CommandError(f"{' '.join(command)}: its memory was looked at {looks} times only")
    return peak, looks
