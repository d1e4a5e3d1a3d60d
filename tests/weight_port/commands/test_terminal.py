"""No name out of a file sends a terminal a command, or begins a line of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import weight_port
from weight_port import cli, terminal
from weight_port.errors import one_line, plain

# A clear screen, a title, a C1 control, backspaces, a return, another direction, line separators.
HOSTILE = [
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x9b2J",
    "a\b\b",
    "a\rb",
    "\u202eb",
    "\u2066b",
    "a\u2028b",
]
HOSTILE += ["a\u2029b", "a\x85b", "a\x0bb", "\x7f", "a\x00b", "\ud800"]
FAKE = "w\nweight-port: equal"


def hostile(text: str) -> bool:
    """Whether anything in it is not printed: the comparator of these tests."""
    return any(not character.isprintable() for character in text if character not in "\n\t")


def faked(text: str) -> bool:
    return any(line.startswith("weight-port: equal") for line in text.splitlines())


@pytest.mark.parametrize("text", HOSTILE)
def test_the_comparator_sees_it_and_plain_escapes_it(text: str) -> None:
    assert hostile(text)
    assert not hostile(plain(text))
    assert not hostile(one_line(f"{text}\n"))
    assert "\n" not in one_line(f"{text}\n")


def test_what_is_printed_stays_as_it_is() -> None:
    text = "é 数 × 1.2 µs — …\n\tindented"
    assert plain(text) == text


def child(code: str) -> str:
    """What a process says on stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    return done.stdout + done.stderr


WAYS = {
    "print": "print(TEXT)",
    "stderr": "import sys; sys.stderr.writelines([TEXT])",
    "traceback": "raise ValueError(TEXT)",
    "warning": "import warnings; warnings.warn(TEXT)",
    "argparse": "import argparse; argparse.ArgumentParser().parse_args([TEXT])",
}
GATE = "until_closed(command)"


@pytest.mark.parametrize("way", WAYS)
def test_the_gate_is_for_every_way_to_the_terminal(way: str) -> None:
    text = "".join(HOSTILE[:-2])
    code = f"""
from weight_port.terminal import until_closed
def command():
    {WAYS[way].replace("TEXT", ascii(text))}
    return 0
"""
    assert "[2J" in child(code + GATE)
    assert not hostile(child(code + GATE))
    assert hostile(child(code + "command()"))  # the mutation: without the gate


def test_the_gate_ends_with_the_command_and_keeps_the_stream(monkeypatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    assert terminal.run("test", lambda: print("\x1b[2J") or 0, ()) == 0
    assert sys.stdout is stream
    assert stream.getvalue() == "\\x1b[2J\n"


def test_an_error_begins_one_line(capsys) -> None:
    def fail() -> int:
        raise ValueError(f"{FAKE}\n    as it was")

    assert terminal.run("test", fail, (ValueError,)) == 2
    assert capsys.readouterr().err == "test: w\n  weight-port: equal\n    as it was\n"


@pytest.fixture
def files(tmp_path) -> list[str]:
    """Two files with hostile names of tensors, and one with a hostile name of its own."""
    names = [*HOSTILE[:-2], FAKE]
    weight_port.write(tmp_path / "a.pth", {name: np.zeros(2, np.float32) for name in names})
    weight_port.write(tmp_path / "b.pth", {name: np.ones((2, 2)) for name in names[1:]})
    (tmp_path / "a.pth").rename(tmp_path / f"{FAKE}\x1b[2J.pth")
    return [str(tmp_path / f"{FAKE}\x1b[2J.pth"), str(tmp_path / "b.pth")]


COMMANDS = {
    "inspect": ["inspect", "--tensors"],
    "diff": ["diff"],
    "convert": ["convert", "--to", "paddle1", "--out-dir", "OUT", "--format", "npz"],
    "raw": ["convert", "--to", "raw", "--out-dir", "OUT", "--format", "npz"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_is_made_to_say_it(tmp_path, capsys, files, command: str) -> None:
    arguments = [str(tmp_path / "o") if word == "OUT" else word for word in COMMANDS[command]]
    sources = files[:1] if command == "inspect" else files
    cli.main([arguments[0], *sources, *arguments[1:]])
    out, err = capsys.readouterr()
    assert "equal" in out + err
    assert not hostile(out + err)
    assert not faked(out)
    assert not faked(err)


def test_a_network_with_such_a_name_is_refused_in_plain_words(tmp_path, capsys, fake) -> None:
    tensors = {**fake("pytorch_impl", "resnet18"), FAKE: np.zeros(1), "\x1b[2J": np.zeros(1)}
    weight_port.write(tmp_path / "x.pth", tensors)
    assert (
        cli.main(["convert", str(tmp_path / "x.pth"), str(tmp_path / "y.npz"), "--to", "paddle1"])
        == 2
    )
    err = capsys.readouterr().err
    assert "w\\nweight-port: equal" in err
    assert "\\x1b[2J" in err
    assert not hostile(err)
    assert not faked(err)


def test_json_stays_json(capsys, files: list[str]) -> None:
    assert cli.main(["inspect", "--json", "--tensors", files[0]]) == 0
    out = capsys.readouterr().out
    keys = [key for stage in json.loads(out)["tree"].values() for key in stage]
    assert sorted(keys) == sorted([*HOSTILE[:-2], FAKE])
    assert not hostile(out)


def test_the_comparators_see_what_is_wrong() -> None:
    assert faked(f"error: {FAKE}")
    assert not faked(one_line(FAKE))
    assert hostile("x\x1b")
    assert not hostile("x\n\ty")
