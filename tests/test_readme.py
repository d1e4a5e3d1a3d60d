"""The README: its commands and its code run as they stand, its tables are those of the records."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import readme
from parity import images, photographs, seeded

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


COMMANDS = [
    line.split("#")[0].strip() for block in blocks("bash") for line in block.splitlines() if line
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader would stand: a checkpoint and photographs under the README's names."""
    folder = tmp_path_factory.mktemp("reader")
    paths = photographs.save(folder / "photographs")
    seeded.make("resnet50", images.batch(paths), folder / "resnet50.pdparams")
    return folder


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": tools},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_commands_are_found() -> None:
    assert COMMANDS[:2] == ["make demo", "make test"]
    assert len(COMMANDS) == 6
    lines = TEXT.splitlines()
    assert (
        max(n for n, line in enumerate(lines) if line.startswith(("make demo", "make test"))) < 20
    )


def test_the_commands_run(folder: Path) -> None:
    for command in COMMANDS:
        if command.startswith("make"):  # the whole suite and the demo: that they exist
            done = run(["make", "--dry-run", "-C", str(ROOT), *command.split()[1:]], folder)
        else:
            done = run(command.split(), folder)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert (folder / "resnet50.pth").exists()


def test_the_python_runs(folder: Path) -> None:
    (code,) = blocks("python")
    done = run([sys.executable, "-c", code], folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["resnet50", "25557032"]
    assert (folder / "resnet50.safetensors").exists()


def test_the_tables_are_those_of_the_records() -> None:
    assert readme.render(TEXT) == TEXT


def test_a_stale_table_shows() -> None:
    stale = re.sub(r"(\| resnet50 +\| +)\d", r"\g<1>8", TEXT)
    assert stale != TEXT
    assert readme.render(stale) == TEXT
    with pytest.raises(ValueError, match="no block"):
        readme.render(TEXT.replace("<!-- parity -->", ""))
