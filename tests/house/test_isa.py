"""The passes under other instruction sets: what they set, workers get too."""

from __future__ import annotations

import subprocess

import pytest

from parity.workers.launch import INSTRUCTION_SETS
from tests import isa


def test_every_variable_of_a_pass_reaches_the_workers() -> None:
    assert {threads for threads, _ in isa.PASSES.values()} == {1, 2}
    for name, (_, variables) in isa.PASSES.items():
        assert variables, name
        assert set(variables) <= set(INSTRUCTION_SETS), name


def test_a_pass_that_fails_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended: list[str] = []

    def call(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        name = command[command.index("tests.isa") + 1]
        ended.append(name)
        return subprocess.CompletedProcess(command, int(name == "sse-1"))

    monkeypatch.setattr(isa.subprocess, "run", call)
    monkeypatch.setattr(isa, "available_threads", lambda: 2)
    for arguments, status in (([], 1), (["avx2-1", "avx2-2"], 0)):
        ended.clear()
        monkeypatch.setattr("sys.argv", ["isa", *arguments])
        assert isa.main() == status
        assert ended == (arguments or list(isa.PASSES))
    assert "failed: sse-1\n" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["isa", "avx3-1"])
    with pytest.raises(SystemExit, match="2"):
        isa.main()
