"""A worker does not outlive the run that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""
CHILD = "import time; print('ready', flush=True); time.sleep(60)"
TIED = f"from benchmarks.harness.worker import end_with_parent; end_with_parent(); {CHILD}"


def is_running(pid):
    """Whether a process is there and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("child", "ends"), [(TIED, True), (CHILD, False)])
def test_a_worker_ends_with_a_parent_that_is_killed(child, ends):
    command = [sys.executable, "-c", PARENT, child]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
    end = time.monotonic() + (5 if ends else 0.5)
    while is_running(pid) and time.monotonic() < end:
        time.sleep(0.02)
    try:
        assert is_running(pid) is not ends
    finally:
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)
