"""README and docs: their commands and code run as they stand, their tables are the records'."""

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
from benchmarks.readme.speeds import NETWORKS, read
from parity import images, photographs, seeded
from tests import ROOT
from tests.helpers import commands
from training.evaluate import record as evaluate_record
from weight_port.arch import ARCHITECTURES

PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in readme.pages()}
README, CHINESE = PAGES["README.md"], PAGES["README.zh-CN.md"]


def blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands_of(text: str) -> list[str]:
    lines = [line for block in blocks("bash", text) for line in block.splitlines()]
    return [line.split("#")[0].strip() for line in lines if line]


# Where a reader begins, then what the guides add. Tutorials have tests of their own.
COMMANDS = list(
    dict.fromkeys(
        command
        for page, text in [("README.md", README), *PAGES.items()]
        if not page.startswith("docs/tutorials")
        for command in commands_of(text)
    )
)


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
    assert {command.split()[0] for command in COMMANDS} == {"make", "python", "weight-port"}
    assert len(COMMANDS) == 8
    assert commands_of(CHINESE) == commands_of(README)


def test_the_readme_is_short_and_its_commands_stand_first() -> None:
    assert len(README.encode()) <= 12_000
    assert len(CHINESE.encode()) <= 12_000
    lines = README.splitlines()
    assert lines.index("make test   # the whole suite") < 30
    # The same tables and links in both languages.
    for pattern in (r"<!-- /?[a-z-]+ -->", r"\]\((docs/[^)#]+)"):
        assert re.findall(pattern, CHINESE) == re.findall(pattern, README)


def test_the_trained_networks_figure_is_the_records() -> None:
    sides = evaluate_record.read(readme.RESULTS / "cifar-cpu.json")["frameworks"].values()
    (right,) = {side["right"] for side in sides}
    assert all(f"{right:,}" in text for text in (README, CHINESE))


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


def slug(heading: str) -> str:
    """The anchor that GitHub and MkDocs give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def anchors(path: Path) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES)
def test_the_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        path = ((ROOT / page).parent / file) if file else ROOT / page
        assert path.exists(), f"{page}: {target}"
        assert not anchor or anchor in anchors(path), f"{page}: {target}"


@pytest.mark.parametrize("page", [page for page in PAGES if "![" in PAGES[page]])
def test_the_pictures_are_there(page: str) -> None:
    for picture in re.findall(r"!\[[^]]+\]\(([^)]+)\)", PAGES[page]):
        head = ((ROOT / page).parent / picture).read_bytes()[:400]
        assert head.startswith(b"\x89PNG\r\n\x1a\n") or b"<svg " in head, picture


def test_every_page_is_found_from_the_index() -> None:
    listed = set(re.findall(r"\]\(([a-z-]+/[a-z-]+\.md)", PAGES["docs/index.md"]))
    assert {f"docs/{page}" for page in listed} == {
        page for page in PAGES if re.fullmatch(r"docs/[^.]+/[^.]+\.md", page)
    }


def test_the_python_runs(folder: Path) -> None:
    port, optimize = blocks("python", PAGES["docs/reference/python.md"])
    done = run([sys.executable, "-c", port], folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["resnet50", "25557032"]
    shown = "\nprint(tuple(logits.shape), logits.requires_grad)"
    done = run([sys.executable, "-W", "ignore", "-c", optimize + shown], folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "(1, 1000) False"
    assert (folder / "resnet50.safetensors").exists()


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_are_those_of_the_records(page: str) -> None:
    assert readme.render(PAGES[page]) == PAGES[page]


def test_every_table_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert readme.unused(PAGES.values()) == set()
    assert readme.unused([README]) >= {"port", "networks"}
    monkeypatch.setattr(readme, "pages", lambda: [ROOT / "README.md"])
    with pytest.raises(ValueError, match=r"no page has the blocks .*networks, .*port"):
        readme.main()


def test_every_network_has_a_row_of_speeds() -> None:
    text = PAGES["docs/results/speed-cpu.md"]
    block = text.split("<!-- network-speeds -->")[1].split("<!-- /network-speeds -->")[0]
    lines = [[cell.strip() for cell in line.split("|")[1:4]] for line in block.splitlines()]
    speeds = {line[0]: line[1:] for line in lines if line and line[0] in ARCHITECTURES}
    assert set(speeds) == set(ARCHITECTURES)
    medians = [pair for pair in speeds.values() if pair != 2 * ["not measured"]]
    assert all(float(median) > 0 for pair in medians for median in pair)
    measured = {cell["model"] for name in NETWORKS for cell in read(name)["cells"]}
    assert len(medians) == len(measured & set(ARCHITECTURES))


def test_the_pictures_are_those_of_the_records() -> None:
    assert readme.stale_pictures() == []
    for path in readme.PICTURES:
        assert any(f"{path.relative_to(ROOT)})" in text for text in PAGES.values())


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
    assert {page: (ROOT / page).read_text() for page in PAGES} == PAGES


def test_a_stale_table_shows() -> None:
    stale = re.sub(r"(\| resnet50, float64 +\| +)\d", r"\g<1>8", README)
    assert stale != README
    assert readme.render(stale) == README
    for broken in ("", "<!-- parities -->"):
        with pytest.raises(ValueError, match="blocks <!-- name -->"):
            readme.render(README.replace("<!-- parity -->", broken))
