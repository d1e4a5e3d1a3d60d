"""What a conversion says of its phases, to those who listen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import weight_port

LISTENER = """
import json, sys
heard = []
sys.addaudithook(lambda event, given: event == "weight_port.phase" and heard.append(given[0]))
from weight_port import cli
status = cli.main(sys.argv[1:])
print(json.dumps(heard), file=sys.stderr)
raise SystemExit(status)
"""


def heard(*arguments: object) -> list[str]:
    command = [sys.executable, "-c", LISTENER, "convert", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    phases: list[str] = json.loads(done.stderr)
    return phases


@pytest.fixture(scope="module")
def source(tmp_path_factory, fake) -> Path:
    path = tmp_path_factory.mktemp("phases") / "x.pth"
    weight_port.write(path, fake("torchvision", "resnet18"))
    return path


def test_a_conversion_says_its_phases_in_order(source, tmp_path) -> None:
    synced = ["sync", "write", "sync", "write", "done"]  # the file, then its folder
    to = ("--to", "paddle1")
    assert heard(source, tmp_path / "x.npz", *to) == ["read", "rename", "write", *synced]
    waited = ["read", "rename", "write", "digest", "write", *synced]
    assert heard(source, tmp_path / "x.safetensors", *to) == waited
    raw = heard(source, tmp_path / "raw.npz", "--to", "raw")
    assert raw == ["read", "rename", "write", *synced]
