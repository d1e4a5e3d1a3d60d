"""A converted file's certificate: what holds, what fails, what can't be checked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import weight_port
from weight_port import cli
from weight_port.conversion import certificate
from weight_port.formats.safetensors import read_metadata

Tensors = dict[str, np.ndarray]


@pytest.fixture
def converted(tmp_path: Path, fake) -> Path:
    weight_port.write(tmp_path / "a.pth", fake("torchvision", "resnet18"))
    path = tmp_path / "b.safetensors"
    weight_port.convert_file(tmp_path / "a.pth", path, "paddle.vision")
    return path


def verify(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, str]]:
    """(exit status, claim to state)."""
    status = cli.main(["verify", *map(str, arguments), "--json"])
    checks = json.loads(capsys.readouterr().out)["checks"]
    return status, {check["claim"]: check["state"] for check in checks}


def rewritten(path: Path, change) -> None:
    tensors = {key: array.copy() for key, array in weight_port.read(path).items()}
    metadata = read_metadata(path)
    change(tensors, metadata)
    weight_port.write(path, tensors, metadata=metadata, force=True)


IS, SOURCE = "it is resnet18 in paddle.vision", "its source is a.pth"
NUMBERS, SAME = "its numbers are finite", "its numbers are the source's, converted"
RULES = "its rules are those of this version"


def test_all_that_can_be_checked_holds(converted: Path, capsys) -> None:
    status, claims = verify(capsys, converted)
    assert status == 0
    parity = claims.pop("outputs are equal in both frameworks")
    assert parity == "unchecked"
    assert claims == dict.fromkeys((IS, NUMBERS, RULES, SOURCE, SAME), "holds")


@pytest.mark.parametrize(
    ("change", "claim", "state"),
    [
        (lambda t, m: t["fc.bias"].__setitem__(1, 5.0), SAME, "FAILS"),
        (lambda t, m: t["fc.bias"].__setitem__(1, np.nan), NUMBERS, "FAILS"),
        (lambda t, m: t.pop("fc.bias"), IS, "FAILS"),
        (lambda t, m: m.update(source_sha256="0" * 64), SOURCE, "FAILS"),
        (lambda t, m: m.update(rules_sha256="0" * 64), RULES, "unchecked"),
        (lambda t, m: m.pop("source_sha256"), SOURCE, "unchecked"),
    ],
)
def test_what_was_changed_is_seen(converted: Path, capsys, change, claim, state) -> None:
    rewritten(converted, change)
    status, claims = verify(capsys, converted)
    assert claims[claim] == state
    assert status == (1 if state == "FAILS" else 0)


def test_another_source_fails_and_none_is_unchecked(converted: Path, tmp_path, capsys) -> None:
    (tmp_path / "a.pth").rename(tmp_path / "c.pth")
    status, claims = verify(capsys, converted)
    assert (status, claims[SOURCE]) == (0, "unchecked")
    status, claims = verify(capsys, converted, "--source", tmp_path / "c.pth")
    assert (status, claims[SOURCE], claims[SAME]) == (0, "holds", "holds")
    status, claims = verify(capsys, converted, "--source", converted)
    assert (status, claims[SOURCE]) == (1, "FAILS")


def test_a_file_without_a_certificate_is_an_error(tmp_path: Path, capsys) -> None:
    for name in ("x.safetensors", "x.npz"):
        weight_port.write(tmp_path / name, {"w": np.zeros(1)})
        assert cli.main(["verify", str(tmp_path / name)]) == 2
        assert "holds no certificate" in capsys.readouterr().err


def test_the_digest_of_the_rules_follows_the_code(tmp_path: Path, monkeypatch) -> None:
    before = certificate.rules()
    monkeypatch.setattr(certificate, "_ROOMS", ("arch", "dialects"))
    assert certificate.rules() != before
