"""Workers as forks of a process that has imported their framework: two to four seconds saved each.

``Subprocess`` stands in for the module ``subprocess`` where workers are started. A command
``python -W ignore -m ROLE_torch …`` (or ``_paddle``) is then run by a fork of a server, which was
started with the same environment and has imported the framework, and computed nothing: a fork has
one thread, and what it computes is to the bit what a process of its own would. All other commands
are real processes.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests import ROOT
from tests.helpers import fork_server

FRAMEWORKS = ("torch", "paddle")
PRELOADED = {name: name for name in FRAMEWORKS}  # what a server imports
START = [sys.executable, "-W", "ignore", "-m"]
SERVERS = 4  # at a time, each with a framework in memory
# A fork of a process that has seen a GPU can't use it.
POSSIBLE = hasattr(os, "pidfd_open") and not Path("/dev/nvidiactl").exists()


class Server:
    """A process with a framework, and the socket that takes what its forks are to run."""

    def __init__(self, framework: str, environment: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the server)
        with theirs:
            self._process = subprocess.Popen(
                [*START, fork_server.__name__, PRELOADED[framework]], env=environment, cwd=ROOT,
                stdin=theirs, stdout=self._log, stderr=self._log, start_new_session=True,
            )  # fmt: skip

    def fork(self, arguments: Sequence[str], streams: Sequence[int]) -> socket.socket:
        """Have a fork run ``python -m`` with these; its MESSAGEs come through the socket."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = json.dumps([os.getcwd(), *arguments]).encode()
        with theirs:
            socket.send_fds(self._socket, [request], [*streams, theirs.fileno()])
        return ours

    def log(self) -> str:
        """What it has printed."""
        return os.pread(self._log.fileno(), 1 << 16, 0).decode(errors="replace")

    def close(self) -> None:
        """End the server, once its forks have ended or not."""
        self._socket.close()
        self._process.wait()
        self._log.close()


class Forked:
    """What a launcher uses of a ``subprocess.Popen``."""

    def __init__(self, server: Server, command: Sequence[str], streams: Sequence[int]) -> None:
        self._server, self._command = server, command
        self._channel = server.fork(command[len(START) :], streams)
        self._pid: int | None = None
        self.returncode: int | None = None

    def _receive(self, timeout: float | None) -> bool:
        """Wait for the next message; returns whether there was one."""
        if not select.select([self._channel], [], [], timeout)[0]:
            return False
        message = self._channel.recv(fork_server.MESSAGE.size)
        if not message:
            raise RuntimeError(f"the fork server has ended: {self._server.log()}")
        (value,) = fork_server.MESSAGE.unpack(message)
        if self._pid is None:
            self._pid = value
        else:
            self.returncode = value
            self._channel.close()
        return True

    @property
    def pid(self) -> int:
        while self._pid is None:
            self._receive(None)
        return self._pid

    def poll(self) -> int | None:
        while self.returncode is None and self._receive(0):
            pass
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        while self.returncode is None:
            if not self._receive(timeout):
                raise subprocess.TimeoutExpired(self._command, timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@contextlib.contextmanager
def _descriptors(streams: Sequence[Any]) -> Iterator[list[int]]:
    """The file descriptors that a Popen would give to its process."""
    with open(os.devnull, "r+b") as null:
        yield [
            own if stream is None
            else null.fileno() if stream == subprocess.DEVNULL
            else stream if isinstance(stream, int) else stream.fileno()
            for own, stream in enumerate(streams)
        ]  # fmt: skip


class Subprocess:
    """In place of the module ``subprocess``: the same, but for the ``Popen`` of a worker."""

    def __init__(self) -> None:
        self._servers: dict[Any, Server] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(
        self, command: Sequence[str], *, env: Mapping[str, str], stdin: Any = None,
        stdout: Any = None, stderr: Any = None,
    ) -> Any:  # fmt: skip
        """A fork where the command is a framework's worker, else a process."""
        framework = command[4].rpartition("_")[2] if list(command[:4]) == START else ""
        if framework not in FRAMEWORKS or not POSSIBLE:
            return subprocess.Popen(command, env=env, stdin=stdin, stdout=stdout, stderr=stderr)
        with _descriptors((stdin, stdout, stderr)) as streams:
            return Forked(self._server(framework, env), command, streams)

    def _server(self, framework: str, environment: Mapping[str, str]) -> Server:
        """The one with this environment: much of it is read when a framework is imported."""
        same = {key: value for key, value in environment.items() if key != "PYTEST_CURRENT_TEST"}
        key = (framework, *sorted(same.items()))
        server = self._servers.pop(key, None) or Server(framework, same)
        self._servers[key] = server  # last: the first is the one that was not used for longest
        if len(self._servers) > SERVERS:
            self._servers.pop(next(iter(self._servers))).close()
        return server

    def close(self) -> None:
        """End all servers."""
        while self._servers:
            self._servers.popitem()[1].close()
