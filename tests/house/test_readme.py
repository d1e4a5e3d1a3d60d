"""The README: its commands and its code run as they stand, its tables are those of the records."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.readme import __main__ as readme
from parity import images, photographs, seeded
from tests import ROOT
from tests.helpers import commands
from weight_port.arch import ARCHITECTURES

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


def here(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command; ``python -m`` in this process, so that its workers can be forks."""
    python, option, module, *words = command.split()
    if (python, option) != ("python", "-m"):
        return run(command.split(), folder)

    def main(arguments: Sequence[str]) -> Any:
        with pytest.MonkeyPatch.context() as patched:
            patched.chdir(folder)
            patched.setattr(sys, "argv", [module, *arguments])
            for name in (module, f"{module}.__main__"):  # as in a process that begins with it
                if not hasattr(sys.modules.get(name), "__path__"):
                    patched.delitem(sys.modules, name, raising=False)
            runpy.run_module(module, run_name="__main__", alter_sys=True)

    return commands.run(main, *words)


def test_the_commands_are_found() -> None:
    assert COMMANDS[:2] == ["make demo", "make test"]
    assert len(COMMANDS) == 9
    lines = TEXT.splitlines()
    assert (
        max(n for n, line in enumerate(lines) if line.startswith(("make demo", "make test"))) < 20
    )


def test_the_commands_run(folder: Path) -> None:
    for command in COMMANDS:
        if command.startswith("make"):  # the whole suite and the demo: that they exist
            done = run(["make", "--dry-run", "-C", str(ROOT), *command.split()[1:]], folder)
        else:
            done = here(command, folder)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert (folder / "resnet50.pth").exists()


def test_images_are_downloaded_only_where_none_are_named(tmp_path: Path) -> None:
    command = ["make", "--dry-run", "-C", str(ROOT), "cifar"]
    named = run([*command, f"CIFAR={tmp_path / 'mine'}"], tmp_path)  # what is wrong there, it says
    assert named.returncode == 0, named.stderr
    assert f"--data {tmp_path / 'mine'}" in named.stdout
    assert "--download" not in named.stdout
    if not (ROOT / "build" / "cifar10").exists():
        assert "--download" in run(command, tmp_path).stdout


def test_the_pictures_are_there() -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", TEXT)
    assert pictures
    for picture in pictures:
        head = (ROOT / picture).read_bytes()[:400]
        assert head.startswith(b"\x89PNG\r\n\x1a\n") or b"<svg " in head, picture


def test_the_python_runs(folder: Path) -> None:
    port, optimize = (
        block for block in blocks("python") if "test_my_port" not in block
    )  # see test_pytest_plugin
    done = run([sys.executable, "-c", port], folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["resnet50", "25557032"]
    shown = "\nprint(tuple(logits.shape), logits.requires_grad)"
    done = run([sys.executable, "-W", "ignore", "-c", optimize + shown], folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "(1, 1000) False"
    assert (folder / "resnet50.safetensors").exists()


def test_the_tables_are_those_of_the_records() -> None:
    assert readme.render(TEXT) == TEXT


def test_every_network_has_a_row_of_speeds() -> None:
    block = TEXT.split("<!-- network-speeds -->")[1].split("<!-- /network-speeds -->")[0]
    lines = [[cell.strip() for cell in line.split("|")[1:4]] for line in block.splitlines()]
    speeds = {line[0]: line[1:] for line in lines if line and line[0] in ARCHITECTURES}
    assert set(speeds) == set(ARCHITECTURES)
    assert all(float(median) > 0 for pair in speeds.values() for median in pair)


def test_the_pictures_are_those_of_the_records() -> None:
    assert readme.stale_pictures() == []
    assert all(f"]({path.relative_to(ROOT)})" in TEXT for path in readme.PICTURES)


def test_a_stale_picture_shows_and_is_drawn_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ((shown, name),) = readme.PICTURES.items()
    content = shown.read_bytes()
    copy = tmp_path / shown.name
    copy.write_bytes(content.replace(b"sha256:", b"sha256:0", 1))
    monkeypatch.setattr(readme, "PICTURES", {copy: name})
    monkeypatch.setattr(sys, "argv", ["readme", "--check"])
    assert readme.main() == 1
    assert f"{shown.name}: stale" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["readme"])
    assert readme.main() == 0
    assert readme.stale_pictures() == []
    assert (ROOT / "README.md").read_text() == TEXT


def test_a_stale_table_shows() -> None:
    stale = re.sub(r"(\| resnet50, float64 +\| +)\d", r"\g<1>8", TEXT)
    assert stale != TEXT
    assert readme.render(stale) == TEXT
    with pytest.raises(ValueError, match="no block"):
        readme.render(TEXT.replace("<!-- parity -->", ""))
