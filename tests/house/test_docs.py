"""The site builds without a warning, and shows what pages link to outside of docs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT


def build(*options: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", "--strict", *options]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build("--site-dir", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there_in_both_languages(site: Path) -> None:
    pages = [path for path in (ROOT / "docs").rglob("*.md") if ".zh." not in path.name]
    assert pages
    for page in pages:
        name = page.relative_to(ROOT / "docs").with_suffix(".html")
        for language in ("", "zh"):
            assert (site / language / name).is_file(), (language, name)
    assert "指南" in (site / "zh" / "index.html").read_text()


def test_functions_have_their_docstrings(site: Path) -> None:
    text = (site / "reference" / "api.html").read_text()
    for name in ("read", "write", "convert", "detect", "assert_parity"):
        assert f">{name}</span>" in text, name
    assert "memory-mapped" in text


def test_the_pictures_of_records_are_in_the_site(site: Path) -> None:
    assert (site / "pictures" / "benchmarks" / "results" / "parity" / "page.png").stat().st_size
    assert "pictures/benchmarks/results/parity/page.png" in (
        (site / "guides" / "parity.html").read_text()
    )


def test_a_link_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("[a page](not-there.md)")
    settings = (ROOT / "mkdocs.yml").read_text()
    checks = settings[settings.index("validation:") :]
    (tmp_path / "mkdocs.yml").write_text(f"site_name: x\n{checks}")
    done = build("--config-file", tmp_path / "mkdocs.yml", "--site-dir", tmp_path / "site")
    assert done.returncode != 0
    assert "not-there.md" in done.stderr
