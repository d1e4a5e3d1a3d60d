"""``weight-port`` needs NumPy and ml_dtypes, and no other package; the rest says which extra."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import weight_port
from weight_port import extras

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT = Path(weight_port.__file__).parents[1] / "pyproject.toml"

# What a base install has: any other import fails, as it would there.
BASE_ALONE = """
import sys
class Base:
    there = {*sys.stdlib_module_names, *map(str, sys.argv.pop(1).split(","))}
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in self.there:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Base())
"""
THERE = "numpy,ml_dtypes,weight_port"


def base_alone(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A program where only the packages of a base install can be imported."""
    command = [sys.executable, "-c", BASE_ALONE + program, THERE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


RUN = "from weight_port.cli import main\nraise SystemExit(main())"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fake) -> Path:
    """A network in two formats, one of them in bfloat16, for which ml_dtypes is needed."""
    folder = tmp_path_factory.mktemp("base")
    tensors = fake("pytorch_impl", "lenet5")
    weight_port.write(folder / "a.pth", tensors)
    halves = {key: array.astype(ml_dtypes.bfloat16) for key, array in tensors.items()}
    weight_port.write(folder / "b.safetensors", halves)
    return folder


@pytest.mark.parametrize("name", ["a.pth", "b.safetensors"])
def test_inspect_and_convert_need_no_other_package(folder, tmp_path, name: str) -> None:
    done = base_alone(RUN, "inspect", folder / name, "--stats")
    assert (done.returncode, done.stderr) == (0, "")
    for suffix in (".pdparams", ".npz", ".pdiparams", ".safetensors", ".pth"):
        out = tmp_path / f"out{suffix}"
        done = base_alone(RUN, "convert", folder / name, out, "--to", "paddle_impl")
        assert (done.returncode, done.stderr) == (0, ""), suffix
        assert out.exists()


def test_diff_and_the_tables_need_no_other_package(folder) -> None:
    assert base_alone(RUN, "diff", folder / "a.pth", folder / "b.safetensors").returncode == 1
    for arguments in (["--help"], ["--version"], ["convert", "--help"], ["dialects"], ["formats"],
                      ["architectures"]):  # fmt: skip
        done = base_alone(RUN, *arguments)
        assert (done.returncode, done.stderr) == (0, ""), arguments


def test_another_package_would_be_noticed() -> None:
    done = base_alone("import tabulate")
    assert done.returncode == 1
    assert "No module named 'tabulate'" in done.stderr


def test_float32_needs_no_ml_dtypes(folder) -> None:
    program = "import sys, weight_port; weight_port.read(sys.argv[1]); print(*sys.modules)"
    for name, needed in (("a.pth", False), ("b.safetensors", True)):
        loaded = base_alone(program, folder / name).stdout.split()
        assert ("ml_dtypes" in loaded) is needed
        assert "numpy" in loaded


@pytest.mark.parametrize(
    ("package", "extra"), [("parity", "parity"), ("training", "training"), ("benchmarks", "bench")]
)
def test_what_is_missing_is_a_sentence_that_names_the_extra(package: str, extra: str) -> None:
    program = f"import runpy; runpy._run_module_as_main({package!r})"  # python -m
    command = [sys.executable, "-c", BASE_ALONE + program, f"{THERE},{package}", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    missing = "jsonschema and PIL and tabulate are not installed"
    (line,) = done.stderr.splitlines()
    assert f"{missing}: pip install 'resnet-parity[{extra}]'" in line
    assert done.returncode != 0


def test_what_is_there_is_not_missed() -> None:
    extras.require("x", "parity", "json", "numpy")
    with pytest.raises(ImportError, match=r"^none_such is not installed: pip install 'resnet-"):
        extras.require("x", "parity", "json", "none_such")


def test_the_base_install_is_numpy_and_ml_dtypes() -> None:
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    names = {line.split(">")[0] for line in project["dependencies"]}
    assert names == {"ml_dtypes", np.__name__, "tomli"}
    # Python has its own TOML reader from 3.11 on.
    assert "tomli>=2; python_version < '3.11'" in project["dependencies"]
    optional = project["optional-dependencies"]
    (every,) = optional["all"]
    listed = set(every.partition("[")[2].rstrip("]").split(","))
    assert listed == set(optional) - {"all", "dev"}
    assert "resnet-parity[all]" in optional["dev"]
