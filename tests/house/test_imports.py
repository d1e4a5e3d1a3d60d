"""The arrows of the house: who may load what.

Each module is loaded in a fork of its own, of a process that has imported the one framework that
the module may load, or nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests import ROOT

FRAMEWORKS = ("torch", "paddle")
TOWER = ("weight_port", "pytorch_impl", "paddle_impl", "parity", "training", "benchmarks")
PACKAGES = TOWER[1:]
TORCH, PADDLE = {"torch", "pytorch_impl"}, {"paddle", "paddle_impl"}
# A module -> what it may load of the frameworks and the halves that need one.
ALLOWED: dict[str, set[str]] = {
    "weight_port.arch": set(),
    "weight_port.cli": set(),
    "weight_port.commands.convert": set(),
    "weight_port.conversion.convert": set(),
    "weight_port.conversion.convert_file": set(),
    "weight_port.formats.files": set(),
    "pytorch_impl": TORCH,
    "paddle_impl": PADDLE,
    "parity.__main__": set(),
    "parity.seeded": set(),
    "parity.survey": set(),
    "parity.pair.command": set(),
    "parity.pair.sides.worker_torch": TORCH,
    "parity.pair.sides.worker_paddle": PADDLE,
    "parity.workers.worker_torch": TORCH,
    "parity.workers.worker_paddle": PADDLE,
    "training.__main__": set(),
    "training.curves": set(),
    "training.data.__main__": set(),
    "training.degradation.__main__": set(),
    "training.evaluate.__main__": set(),
    "training.exchange": set(),
    "training.loop.side_torch": TORCH,
    "training.loop.side_paddle": PADDLE,
    "benchmarks.__main__": set(),
    "benchmarks.readme.__main__": set(),
    "benchmarks.workers.worker_torch": TORCH,
    "benchmarks.workers.worker_paddle": PADDLE,
    "benchmarks.experiments.train.worker_torch": TORCH,
    "benchmarks.experiments.train.worker_paddle": PADDLE,
}
# What weight-port answers at once must not wait for.
WITHOUT_NUMPY = {"weight_port.arch", "weight_port.cli", "weight_port.commands.convert"}


def forbidden(module: str) -> set[str]:
    """The packages above a module's own, and the frameworks with their halves but for its own."""
    above = set(TOWER[TOWER.index(module.partition(".")[0]) + 1 :])
    numpy = {"numpy"} if module in WITHOUT_NUMPY else set()
    return (above | TORCH | PADDLE | numpy) - ALLOWED[module]


PROGRAM = """
import importlib, os, sys
first, *modules = sys.argv[1:]
if first:
    importlib.import_module(first)
for module in modules:
    if os.fork() == 0:
        importlib.import_module(module)
        print(module, *{name.split(".")[0] for name in sys.modules}, flush=True)
        os._exit(0)
    assert os.wait()[1] == 0, module
"""


@cache
def loaded(first: str, *modules: str) -> dict[str, set[str]]:
    """By module the top-level packages in ``sys.modules`` after importing ``first`` and it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, first, *modules], capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    return {module: set(packages) for module, *packages in lines}


def framework_of(module: str) -> str:
    """The framework that a module may load, "" for none."""
    return next((name for name in FRAMEWORKS if name in ALLOWED[module]), "")


@pytest.mark.parametrize("module", ALLOWED)
def test_a_module_loads_nothing_against_the_arrows(module: str) -> None:
    first = framework_of(module)
    alike = [name for name in ALLOWED if framework_of(name) == first]
    found = loaded(first, *alike)[module]
    assert module.split(".")[0] in found
    assert found.isdisjoint(forbidden(module))


def test_what_is_forbidden() -> None:
    assert forbidden("weight_port.formats.files") == {*PACKAGES, *FRAMEWORKS}
    assert forbidden("training.curves") == {"benchmarks", *TORCH, *PADDLE}
    assert forbidden("parity.workers.worker_torch") == {"training", "benchmarks", *PADDLE}
    assert "numpy" in forbidden("weight_port.cli")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_check_sees_a_framework(framework: str) -> None:
    assert framework in loaded("", framework)[framework]


# One import against every contract in pyproject.toml that `make lint` holds.
BACKWARD = {
    "weight_port/errors.py": "weight_port.storage.disk",
    "weight_port/arch/layer.py": "weight_port.dialects.keys",
    "weight_port/storage/disk.py": "torch",
    "pytorch_impl/lenet.py": "paddle_impl.lenet",
    "parity/comparison/compare.py": "parity.run.plan",
    "parity/diagnosis/kernels.py": "parity.diagnosis.view",
    "parity/machine.py": "training.curves",
    "training/errors.py": "training.loop.epochs",
    "benchmarks/experiments/port/rows.py": "benchmarks.experiments.train.rows",
    "benchmarks/harness/inputs.py": "benchmarks.commands.options",
}


def test_an_arrow_that_runs_back_is_seen(tmp_path: Path) -> None:
    """Lazy ones too; that none does in this tree is for `make lint` to say."""
    for package in TOWER:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("results")
        )
    for file, module in BACKWARD.items():
        with open(tmp_path / file, "a") as source:
            source.write(f"\n\ndef late() -> None:\n    import {module}\n")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    assert " 0 kept" in done.stdout  # each contract is broken
    for file, module in BACKWARD.items():
        importer = file.removesuffix(".py").replace("/", ".")
        assert f"{importer} -> {module}" in done.stdout, file


def test_reading_a_torch_file_loads_no_framework(tmp_path) -> None:
    program = (
        "import sys, numpy, weight_port; path = sys.argv[1]; "
        "weight_port.write(path, {'a': numpy.ones(3)}); "
        "assert weight_port.read(path)['a'].sum() == 3; "
        "assert not {'torch', 'paddle'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "a.pth")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
