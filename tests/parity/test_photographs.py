"""The command that writes the photographs: its help is help, and no folder's name."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from parity import photographs


@pytest.mark.parametrize(("arguments", "status"), [(["--help"], 0), ([], 2), (["a", "b"], 2)])
def test_no_folder_is_made_of_an_option(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        photographs.main(arguments)
    assert ended.value.code == status
    printed = capsys.readouterr()
    assert "usage: python -m parity.photographs [-h]" in printed.out + printed.err
    assert not list(tmp_path.iterdir())


def test_four_photographs_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert photographs.main([str(tmp_path / "new")]) == 0
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.stem for path in paths] == list(photographs.NAMES)
    for path in paths:
        with Image.open(path) as photograph:
            assert min(photograph.size) >= 300


def test_what_cannot_be_written_is_an_error(tmp_path: Path, capsys) -> None:
    (tmp_path / "file").write_text("")
    assert photographs.main([str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith("parity.photographs: ")
