"""Every command line of parity and training: help, version, and an option it doesn't know."""

from __future__ import annotations

import importlib

import pytest

import weight_port

COMMANDS = (
    "parity", "parity.photographs", "parity.seeded", "parity.survey", "training",
    "training.curves", "training.data", "training.degradation", "training.evaluate",
    "training.exchange", "training.sheet",
)  # fmt: skip
PACKAGES = ("parity", "training", "training.data", "training.degradation", "training.evaluate")


def status(command: str, *arguments: str) -> int:
    """The exit status of ``python -m command``, called in this process."""
    module = importlib.import_module(f"{command}.__main__" if command in PACKAGES else command)
    with pytest.raises(SystemExit) as ended:
        module.main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("command", [*COMMANDS, "parity dump", "parity compare"])
def test_help_version_and_wrong_usage(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, *words = command.split()
    assert status(module, *words, "--help") == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m {command} ")
    assert status(module, *words, "--version") == 0
    assert capsys.readouterr().out == f"python -m {command} {weight_port.__version__}\n"
    assert status(module, *words, "--no-such-option") == 2
    assert f"python -m {command}: error: " in capsys.readouterr().err
