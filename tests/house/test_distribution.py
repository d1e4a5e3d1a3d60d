"""The wheel and the source distribution, and what installs from them."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

import weight_port
from tests import ROOT

PACKAGES = ("weight_port", "pytorch_impl", "paddle_impl", "parity", "training", "benchmarks")
TOOLS = ("weight-port", "framework-parity", "framework-bench", "framework-train")


def start(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command that ended, in an environment that leads to no other checkout."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints; it must end well."""
    done = start(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked() -> list[str]:
    """The repository's files, those not yet added included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = run(*command, cwd=ROOT).split("\n")
    return [name for name in names if name and (ROOT / name).is_file() and name != ".venv"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, made of the repository's files alone."""
    folder = tmp_path_factory.mktemp("distributions")
    source = folder / "source"
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    # Without isolation: the build needs nothing but the setuptools that is installed.
    python = (sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder))
    run(*python, cwd=source)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(built: Path) -> Path:
    """The source distribution's folder."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(built, filter="data")
    return built / path.name.removesuffix(".tar.gz")


def test_the_wheel_holds_the_packages_and_no_more(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {*PACKAGES, f"resnet_parity-{weight_port.__version__}.dist-info"}
    assert not [name for name in names if "/results/" in name or "tests" in name]
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    # Nothing that the code reads is left out: data files stand beside the code.
    data = [
        name for name in tracked() if name.split("/")[0] in PACKAGES and "/results/" not in name
    ]
    assert set(data) <= set(names)


def test_the_source_distribution_is_the_repository(unpacked: Path) -> None:
    missing = [name for name in tracked() if not (unpacked / name).is_file()]
    assert missing == []


def test_tests_run_from_the_source_distribution(unpacked: Path) -> None:
    few = ("tests/weight_port/conversion/test_guard.py", "tests/house/test_bounds.py")
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *few)
    assert " passed" in run(*command, cwd=unpacked)


def test_an_index_would_take_both(built: Path) -> None:
    files = [str(path) for path in built.iterdir() if path.is_file()]
    assert len(files) == 2
    checked = run(sys.executable, "-m", "twine", "check", "--strict", *files, cwd=built)
    assert checked.count("PASSED") == 2


def test_the_wheel_alone_converts(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    tools = tmp_path / "env" / "bin"
    run(tools / "python", "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    show = "import importlib.metadata as m; print(m.metadata('resnet-parity'))"
    about = email.message_from_string(run(tools / "python", "-c", show, cwd=tmp_path))
    needed = [line for line in about.get_all("Requires-Dist", []) if "extra ==" not in line]
    always = [line for line in needed if "python_version" not in line]  # tomli, before 3.11
    assert sorted(line.split(">")[0] for line in always) == ["ml_dtypes", "numpy"]
    assert "inspect" in run(tools / "weight-port", "--help", cwd=tmp_path)
    trained = ROOT / "assets" / "resnet20-cifar10.pdparams"
    assert "resnet20" in run(tools / "weight-port", "inspect", trained, cwd=tmp_path)
    run(tools / "weight-port", "convert", trained, "a.safetensors", "--to", "cifar", cwd=tmp_path)
    converted = weight_port.read(tmp_path / "a.safetensors")
    ported = weight_port.convert(weight_port.read(trained), to="cifar")
    assert converted.keys() == ported.keys()
    assert all(np.array_equal(converted[name], ported[name]) for name in ported)
    for tool in TOOLS[1:]:  # which say in a sentence what they lack
        done = start(tools / tool, "--help", cwd=tmp_path)
        assert done.returncode == 2
        (sentence,) = done.stderr.splitlines()
        assert "not installed: pip install 'resnet-parity[" in sentence


def test_a_users_own_files_are_not_run_in_their_place(tmp_path: Path) -> None:
    (tmp_path / "parity.py").write_text("raise SystemExit('mine')")
    for package in ("benchmarks", "training"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise SystemExit('mine')")
    tool = Path(sys.executable).with_name("framework-parity")
    said = run(tool, "lenet5", "--precision", "float64", "--out", "out", cwd=tmp_path)
    assert "EQUAL" in said
    for name in TOOLS:
        run(tool.with_name(name), "--help", cwd=tmp_path)
