"""A converted file's certificate: what holds, what fails, what can't be checked."""

from __future__ import annotations

import json
import pickle
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


ONE = np.ones(3, np.float32)


def shifted(tensors: Tensors, prefix: str = "", by: int = 1) -> Tensors:
    return {f"{prefix}{key}": array + array.dtype.type(by) for key, array in tensors.items()}


# How a file was converted -> (its tensors, the options), all of which leave a sound file.
CONVERSIONS = {
    "--key": lambda t: ({"model": t, "model_ema": shifted(t)}, ["--key", "model_ema"]),
    "--prefix": lambda t: ({**t, **shifted(t, "ema.")}, ["--prefix", "ema."]),
    "--drop": lambda t: ({**t, "layer1.0.more": ONE}, ["--drop", "layer1.0.more"]),
    "--rest keep": lambda t: ({**shifted(t, "backbone."), "neck.w": ONE}, ["--rest", "keep"]),
    "--to-prefix": lambda t: (t, ["--to-prefix", "net.", "--rest", "keep"]),
    "--no-top": lambda t: (t, ["--no-top"]),
    "--architecture": lambda t: (t, ["--architecture", "resnet18"]),
}


@pytest.mark.parametrize("how", CONVERSIONS)
def test_a_conversion_with_options_holds_and_another_source_fails(
    tmp_path: Path, fake, capsys, how: str
) -> None:
    state, options = CONVERSIONS[how](fake("torchvision", "resnet18"))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(state))
    path = tmp_path / "b.safetensors"
    arguments = [str(tmp_path / "a.pkl"), str(path), "--from", "torchvision", "--to", "timm"]
    assert cli.main(["convert", *arguments, *options]) == 0
    capsys.readouterr()
    status, claims = verify(capsys, path)
    assert (status, claims[SAME]) == (0, "holds")
    name = next(key for key in weight_port.read(path) if key.endswith("bn1.weight"))
    rewritten(path, lambda tensors, _: tensors[name].__setitem__(0, 7))
    status, claims = verify(capsys, path)
    assert (status, claims[SAME]) == (1, "FAILS")


@pytest.mark.parametrize(
    "options",
    ["[]", "{", '{"key": 3}', '{"drop": [1]}', '{"fold": "yes"}', '{"other": 1}', "[" * 9999],
)
def test_options_that_are_none_of_ours_leave_the_claim_unchecked(
    converted: Path, capsys, options: str
) -> None:
    rewritten(converted, lambda tensors, metadata: metadata.update(options=options))
    status, claims = verify(capsys, converted)
    assert (status, claims[SAME]) == (0, "unchecked")


def test_a_path_that_was_named_and_is_not_there_is_an_error(converted: Path, capsys) -> None:
    for arguments in (["nosuch.pth"], [str(converted), "--source", "nosuch.pth"]):
        assert cli.main(["verify", *arguments]) == 2
        assert "nosuch.pth: no such file" in capsys.readouterr().err
