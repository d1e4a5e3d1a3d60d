"""One version for all the packages, and ``--version``."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import weight_port
from weight_port import terminal

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT = Path(weight_port.__file__).parents[1] / "pyproject.toml"


@pytest.mark.parametrize("package", ["parity", "training", "benchmarks"])
def test_every_package_has_the_one_version(package) -> None:
    assert importlib.import_module(package).__version__ == weight_port.__version__


def test_the_distribution_takes_its_version_from_the_package() -> None:
    settings = tomllib.loads(PYPROJECT.read_text())
    assert "version" not in settings["project"]
    assert settings["project"]["dynamic"] == ["version"]
    (name,) = settings["tool"]["setuptools"]["dynamic"]["version"].values()
    module, _, attribute = name.rpartition(".")
    assert getattr(importlib.import_module(module), attribute) == weight_port.__version__


def test_a_command_line_says_its_version(capsys) -> None:
    parser = argparse.ArgumentParser(prog="python -m anything")
    terminal.add_version(parser)
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"python -m anything {weight_port.__version__}\n"


def test_weight_port_says_its_version() -> None:
    command = [sys.executable, "-m", "weight_port", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"weight-port {weight_port.__version__}\n"
