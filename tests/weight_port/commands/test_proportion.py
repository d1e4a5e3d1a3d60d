"""What a command prints, and the memory it takes to print it, are in proportion to the file."""

from __future__ import annotations

import io
import json
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import weight_port
from weight_port import cli
from weight_port.errors import brief, one_line, plain

RATIO, CONSTANT = 10, 6 << 20  # bytes of memory to a byte of the file, and whatever its size
OUTPUT = 7  # bytes of output to a byte of the file: JSON spells one control character in six
EMPTY = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
FACE = "\U0001f600"  # makes Python keep four bytes for every letter beside it
LONG = 400_000


def safetensors(path: Path, tensors: dict[str, dict], metadata: dict[str, str]) -> Path:
    """Tensors without elements, as few bytes of a file as there can be for a name."""
    head = json.dumps({"__metadata__": metadata, **tensors}, ensure_ascii=False).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head)
    return path


def tensors(count: int, name: str = "s.{}") -> dict[str, dict]:
    return {name.format(number): EMPTY for number in range(count)}


FILES = {
    "one long name": ({**tensors(1_000), "s." + "k" * LONG: EMPTY}, {}),
    "one long stage": ({**tensors(1_000), "k" * LONG + ".w": EMPTY}, {}),
    "long names": (tensors(200, "s.{}" + "k" * 2_000), {}),
    "wide names": (tensors(200, "s.{}" + FACE + "k" * 2_000), {}),
    "names of controls": (tensors(200, "s.{}" + "\x7f" * 2_000), {}),
    "short names": (tensors(4_000, "{}"), {}),
    "long metadata": (tensors(1), {"a": "x" * LONG}),
    "wide metadata": (tensors(1), {"a": FACE + "x" * LONG}),
    "metadata of controls": (tensors(1), {"a": "é\x7f\u2028" * (LONG // 4)}),
    "metadata of wide controls": (tensors(1), {"a": "\U000e0001\x7f" * (LONG // 4)}),
    "a long key of metadata": (tensors(1), {FACE + "x" * LONG: "a"}),
    "many metadata": (tensors(1), {f"{n}": "a" for n in range(8_000)}),
}
COMMANDS = {
    "inspect": ["inspect", "FILE"],
    "tensors": ["inspect", "FILE", "--tensors"],
    "json": ["inspect", "FILE", "--tensors", "--json"],
    "diff": ["diff", "FILE", "OTHER"],
    "diff json": ["diff", "FILE", "OTHER", "--json"],
    "convert": ["convert", "FILE", "OUT", "--to", "raw"],
    "convert json": ["convert", "FILE", "OUT", "--to", "raw", "--json"],
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command on a file; returns (bytes of output, bytes of memory at most)."""

    def measured(command: str, file: Path) -> tuple[int, int]:
        other = safetensors(tmp_path / "b.safetensors", tensors(1, "other"), {})
        names = {"FILE": file, "OTHER": other, "OUT": tmp_path / "out.npz"}
        words = [str(names.get(word, word)) for word in COMMANDS[command]]
        (tmp_path / "out.npz").unlink(missing_ok=True)
        sink = Counter()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(sink, "utf-8", write_through=True))
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(sink, "utf-8", write_through=True))
        tracemalloc.start()
        try:
            cli.main(words)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            monkeypatch.undo()
        return sink.count, peak

    return measured


class Counter(io.RawIOBase):
    """Counts what is written to it, and keeps nothing."""

    count = 0

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.count += len(data)
        return len(data)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", FILES)
def test_output_and_memory_are_in_proportion(tmp_path, run, name: str, command: str) -> None:
    run(command, safetensors(tmp_path / "small.safetensors", tensors(1), {}))  # imports
    file = safetensors(tmp_path / "a.safetensors", *FILES[name])
    size = file.stat().st_size
    output, peak = run(command, file)
    assert 0 < output < OUTPUT * size + 2_000
    assert peak < RATIO * size + CONSTANT


def test_the_measure_sees_what_is_out_of_proportion(tmp_path, run, monkeypatch) -> None:
    file = safetensors(tmp_path / "a.safetensors", *FILES["one long name"])
    monkeypatch.setattr("weight_port.commands.inspect._WIDEST", LONG)
    output, _ = run("tensors", file)
    assert output > OUTPUT * file.stat().st_size + 2_000


def test_a_long_name_widens_no_other_line(tmp_path, capsys) -> None:
    file = safetensors(tmp_path / "a.safetensors", *FILES["one long name"])
    assert cli.main(["inspect", "--tensors", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"  {'s.1':<60}  float32  [0]" in lines
    (long,) = (line for line in lines if "kkk" in line)
    assert long.endswith(f"… ({LONG + 2:,} characters)  float32  [0]")
    assert len(long) < 4_200


def test_names_of_one_length_stand_in_columns(tmp_path, capsys) -> None:
    weight_port.write(tmp_path / "a.npz", {"s.a": np.zeros(2), "s.longer\n": np.zeros((3, 4))})
    assert cli.main(["inspect", "--tensors", str(tmp_path / "a.npz")]) == 0
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert first.index("float64") == second.index("float64")
    assert second == r"  s.longer\n  float64  [3, 4]"


def test_a_text_is_cut_where_nobody_reads_on() -> None:
    assert brief("x" * 4_000) == "x" * 4_000
    assert brief("x" * 4_001) == "x" * 4_000 + " … (4,001 characters)"
    assert one_line("\n" * 5_000) == r"\n" * 4_000 + " … (5,000 characters)"


@pytest.mark.parametrize("text", ["\x1bé" * 300_000, FACE + "\x9b" * 300_000, "ä\u202e" * 200_000])
def test_a_text_is_made_plain_in_little_memory(text: str) -> None:
    tracemalloc.start()
    made = plain(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made == "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    assert peak < 2 * sys.getsizeof(made) + (4 << 20)
