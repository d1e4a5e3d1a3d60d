"""The arrows of the house: who may load what.

Each module is loaded in a fork of its own, of a process that has imported the one framework that
the module may load, or nothing.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

FRAMEWORKS = ("torch", "paddle")
FORBIDDEN = {
    "weight_port.arch": ("numpy", *FRAMEWORKS, "pytorch_impl", "paddle_impl", "parity"),
    "weight_port.cli": ("numpy", *FRAMEWORKS, "pytorch_impl", "paddle_impl", "parity"),
    "weight_port.commands.convert": ("numpy", *FRAMEWORKS, "pytorch_impl", "paddle_impl", "parity"),
    "weight_port.conversion.convert_file": (
        *FRAMEWORKS,
        "pytorch_impl",
        "paddle_impl",
        "parity",
        "benchmarks",
    ),
    "weight_port.formats.files": (
        *FRAMEWORKS,
        "pytorch_impl",
        "paddle_impl",
        "parity",
        "benchmarks",
    ),
    "weight_port.conversion.convert": (
        *FRAMEWORKS,
        "pytorch_impl",
        "paddle_impl",
        "parity",
        "benchmarks",
    ),
    "pytorch_impl": ("paddle", "paddle_impl", "parity", "benchmarks"),
    "paddle_impl": ("torch", "pytorch_impl", "parity", "benchmarks"),
    "parity.__main__": (*FRAMEWORKS, "pytorch_impl", "paddle_impl", "benchmarks"),
    "parity.seeded": (*FRAMEWORKS, "pytorch_impl", "paddle_impl", "benchmarks"),
    "parity.workers.worker_torch": ("paddle", "paddle_impl", "benchmarks"),
    "parity.workers.worker_paddle": ("torch", "pytorch_impl", "benchmarks"),
    "training.__main__": (*FRAMEWORKS, "pytorch_impl", "paddle_impl", "benchmarks"),
    "training.curves": (*FRAMEWORKS, "pytorch_impl", "paddle_impl", "benchmarks"),
    "training.degradation": (*FRAMEWORKS, "pytorch_impl", "paddle_impl", "benchmarks"),
    "training.exchange": (*FRAMEWORKS, "pytorch_impl", "paddle_impl", "benchmarks"),
    "training.evaluate": (*FRAMEWORKS, "pytorch_impl", "paddle_impl", "benchmarks"),
    "training.loop.side_torch": ("paddle", "paddle_impl", "benchmarks"),
    "training.loop.side_paddle": ("torch", "pytorch_impl", "benchmarks"),
    "benchmarks.__main__": (*FRAMEWORKS, "pytorch_impl", "paddle_impl"),
    "benchmarks.workers.worker_torch": ("paddle", "paddle_impl"),
    "benchmarks.experiments.train.worker_torch": ("paddle", "paddle_impl"),
    "benchmarks.experiments.train.worker_paddle": ("torch", "pytorch_impl"),
    "benchmarks.workers.worker_paddle": ("torch", "pytorch_impl"),
}


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
    """The first framework that a module may load, "" for none."""
    return next((name for name in FRAMEWORKS if name not in FORBIDDEN[module]), "")


@pytest.mark.parametrize("module", FORBIDDEN)
def test_a_module_loads_nothing_against_the_arrows(module: str) -> None:
    first = framework_of(module)
    alike = [name for name in FORBIDDEN if framework_of(name) == first]
    found = loaded(first, *alike)[module]
    assert module.split(".")[0] in found
    assert found.isdisjoint(FORBIDDEN[module])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_check_sees_a_framework(framework: str) -> None:
    assert framework in loaded("", framework)[framework]


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
