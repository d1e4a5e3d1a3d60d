"""``diff``, the tables, many files at once, JSON, completion, and what is not imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import weight_port
from tests import ROOT
from weight_port import arch, cli
from weight_port.commands import statistics
from weight_port.dialects import keys
from weight_port.formats import table as formats


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    """The command within this process: (status, stdout, stderr)."""
    status = cli.main(list(map(str, arguments)))
    said = capsys.readouterr()
    return status, said.out, said.err


def call_json(capsys, *arguments: object) -> tuple[int, object]:
    status, out, _ = call(capsys, *arguments, "--json")
    return status, json.loads(out)


@pytest.fixture
def folder(tmp_path, fake) -> Path:
    weight_port.write(tmp_path / "tv.pth", fake("torchvision", "resnet18"))
    return tmp_path


# -- diff


def test_diff_across_formats_and_dialects(folder, capsys) -> None:
    for to, name in (
        ("paddle1", "p1"),
        ("paddle.vision", "v.pdiparams"),
        ("pytorch_impl", "o.npz"),
    ):
        weight_port.convert_file(folder / "tv.pth", folder / name, to)
        status, out, _ = call(capsys, "diff", folder / "tv.pth", folder / name)
        assert (status, out.splitlines()[-1]) == (0, "the same")
        assert f"resnet18 in torchvision and resnet18 in {to}\n" in out


def test_diff_turns_the_axes_of_convolutions(tmp_path, fake, capsys) -> None:
    weight_port.write(tmp_path / "keras.npz", fake("keras", "resnet50_keras"))
    weight_port.convert_file(tmp_path / "keras.npz", tmp_path / "y.npz", "keras")
    assert call(capsys, "diff", tmp_path / "keras.npz", tmp_path / "y.npz")[0] == 0
    weight_port.convert_file(tmp_path / "keras.npz", tmp_path / "p1", "paddle1", fold=True)
    status, report = call_json(capsys, "diff", tmp_path / "keras.npz", tmp_path / "p1")
    assert (status, report["shapes"]) == (1, {})
    # The biases went into the batch norms: convolutions and classifier are what they were.
    assert len(report["missing"]) == 53
    assert all("conv" in key and "bias" in key for key in report["missing"])
    assert not [key for key in report["values"] if "_weights" in key or "fc_0" in key]


def changed(path: Path, out: Path, change) -> Path:
    tensors = {key: np.array(array) for key, array in weight_port.read(path).items()}
    change(tensors)
    weight_port.write(out, tensors)
    return out


def one_weight(tensors) -> None:
    tensors["layer1.0.conv1.weight"][3, 2, 1, 0] += 0.5


def one_nan(tensors) -> None:
    tensors["bn1.running_mean"][5] = np.nan


def swapped(tensors) -> None:
    a, b = "layer1.0.conv1.weight", "layer1.0.conv2.weight"
    tensors[a], tensors[b] = tensors[b], tensors[a]


def untransposed(tensors) -> None:
    tensors["fc.weight"] = np.ascontiguousarray(tensors["fc.weight"].T)


def dropped(tensors) -> None:
    del tensors["bn1.running_var"]


def added(tensors) -> None:
    tensors["extra"] = np.zeros(3)


def other_dtype(tensors) -> None:
    tensors["bn1.weight"] = tensors["bn1.weight"].astype(np.float64)


@pytest.mark.parametrize(
    ("change", "part", "key"),
    [
        (one_weight, "values", "layer1.0.conv1.weight"),
        (one_nan, "values", "bn1.running_mean"),
        (swapped, "values", "layer1.0.conv1.weight"),
        (untransposed, "shapes", "fc.weight"),
        (dropped, "missing", "bn1.running_var"),
        (added, "unexpected", "extra"),
        (other_dtype, "dtypes", "bn1.weight"),
    ],
)
def test_diff_sees_every_change(folder, capsys, change, part: str, key: str) -> None:
    other = changed(folder / "tv.pth", folder / "other.safetensors", change)
    status, report = call_json(capsys, "diff", folder / "tv.pth", other)
    assert status == 1
    assert key in report[part]
    assert not report["same"]
    if change is one_weight:
        assert report["values"] == {key: {"maximum": 0.5, "elements": 1, "of": 36864}}
    status, out, _ = call(capsys, "diff", folder / "tv.pth", other)
    assert status == 1
    assert key in out


def test_diff_of_what_is_no_network(tmp_path, capsys) -> None:
    weight_port.write(tmp_path / "a.npz", {"w": np.arange(600_000.0)})
    last = np.arange(600_000.0)
    last[-1] = 0
    weight_port.write(tmp_path / "b.npz", {"w": last})
    status, report = call_json(capsys, "diff", tmp_path / "a.npz", tmp_path / "b.npz")
    assert (status, report["as"]) == (1, "by the files' own names")
    assert report["values"]["w"] == {"maximum": 599_999.0, "elements": 1, "of": 600_000}


@pytest.mark.parametrize(
    ("a", "b", "maximum", "elements"),
    [
        ([1.0, np.nan], [1.0, np.nan], 0, 0),
        ([1.0, np.nan], [1.0, 2.0], 0, 1),
        ([np.inf, 1.0], [np.inf, 3.0], 2, 1),
        ([np.inf, 1.0], [-np.inf, 1.0], 0, 1),
    ],
)
def test_difference_of_what_is_not_finite(a, b, maximum: float, elements: int) -> None:
    found = statistics.difference(np.array(a), np.array(b))
    assert (found.maximum, found.elements) == (maximum, elements)


def test_difference_of_integers_that_float64_does_not_hold() -> None:
    a, b = np.array([2**60]), np.array([2**60 + 1])
    assert statistics.difference(a, b).elements == 1


# -- figures


def test_figures_are_numpys_over_pieces_and_strides() -> None:
    array = np.random.default_rng(0).normal(3, 2, (700, 900)).astype(np.float32)
    for view in (array, array.T):
        found = statistics.figures(view)
        assert (found.minimum, found.maximum) == (array.min(), array.max())
        np.testing.assert_allclose(found.mean, array.mean(dtype=np.float64), rtol=1e-12)
        np.testing.assert_allclose(found.deviation, array.std(dtype=np.float64), rtol=1e-12)
        assert (found.nans, found.infinities) == (0, 0)
    array[0, :3] = np.nan
    array[1, :2] = -np.inf
    found = statistics.figures(array)
    assert (found.nans, found.infinities) == (3, 2)
    assert np.isfinite(found.minimum)


# -- inspect


def test_inspect_lists_tensors_by_stage(folder, capsys) -> None:
    status, report = call_json(capsys, "inspect", folder / "tv.pth", "--tensors")
    assert status == 0
    counts = {stage: len(tensors) for stage, tensors in report["tree"].items()}
    assert counts == {"stem": 6, "stage 2": 24, "stage 3": 30, "stage 4": 30, "stage 5": 30,
                      "classifier": 2}  # fmt: skip
    assert report["tree"]["stem"]["conv1.weight"] == {"shape": [64, 3, 7, 7], "dtype": "float32"}
    status, out, _ = call(capsys, "inspect", folder / "tv.pth", "--tensors")
    assert "\nstage 5 (30 tensors)\n  layer4.0.conv1.weight " in out


def test_inspect_counts_nan_and_infinities(folder, capsys) -> None:
    other = changed(folder / "tv.pth", folder / "nan.npz", one_nan)
    _, report = call_json(capsys, "inspect", other, "--stats")
    assert report["tree"]["stem"]["bn1.running_mean"]["nans"] == 1
    assert report["tree"]["stem"]["bn1.running_var"]["nans"] == 0
    _, out, _ = call(capsys, "inspect", other, "--stats")
    assert ", 1 NaN, 0 infinite" in out


# -- many files


def test_many_files_some_of_them_bad(tmp_path, fake, same_bits, capsys) -> None:
    for name in ("a", "b", "c"):
        weight_port.write(tmp_path / f"{name}.pth", fake("torchvision", "resnet18"))
    (tmp_path / "bad.pth").write_bytes(b"<html></html>")
    arguments = ("convert", tmp_path / "*.pth", "--out-dir", tmp_path / "out", "--format", "npz",
                 "--to", "paddle1")  # fmt: skip
    status, out, err = call(capsys, *arguments)
    assert status == 1
    assert out.splitlines()[2] == f"[3/4] {tmp_path}/bad.pth: failed"
    assert err.splitlines()[0].startswith(f"weight-port: {tmp_path}/bad.pth: a web page")
    assert err.splitlines()[1:] == ["weight-port: 1 of 4 failed"]
    expected = weight_port.convert(fake("torchvision", "resnet18"), "paddle1")
    for name in ("a", "b", "c"):
        same_bits(weight_port.read(tmp_path / "out" / f"{name}.npz"), expected)
    (tmp_path / "bad.pth").unlink()
    status, report = call_json(capsys, *arguments, "--jobs", "2", "--force")
    assert (status, len(report["done"]), report["failed"]) == (0, 3, [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a", "--to", "raw"], "SRC and DST, or several SRC with --out-dir"),
        (["a", "b", "c", "--to", "raw"], "SRC and DST, or several SRC with --out-dir"),
        (["a", "b", "--to", "raw", "--format", "npz"], "--format goes with --out-dir"),
        (["a", "--to", "raw", "--out-dir", "x"], "--out-dir needs --format"),
        (["a", "b", "--to", "raw", "--jobs", "0"], "'0' must be a whole number, at least 1"),
        (["a", "b", "--to", "raw", "--no-top"], "--to raw changes nothing"),
        (["a", "b", "--to", "raw", "--from", "paddle1"], "--to raw changes nothing"),
        (["a", "b", "--to", "paddle1", "--linear-layout", "torch"], "goes with --to raw"),
        (["x/a.pth", "y/a.pth", "--to", "raw", "--out-dir", "o", "--format", "npz"], "both become"),
    ],
)
def test_wrong_usage_of_convert(arguments: list[str], said: str, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["convert", *arguments])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


# -- tables, JSON, errors


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("dialects", list(keys.DIALECTS)),
        ("formats", list(formats.FORMATS)),
        ("architectures", list(arch.ARCHITECTURES)),
    ],
)
def test_the_tables(capsys, command: str, names: list[str]) -> None:
    status, rows = call_json(capsys, command)
    assert (status, [row["name"] for row in rows]) == (0, names)
    _, out, _ = call(capsys, command)
    assert [line.split()[0] for line in out.splitlines()[1:]] == names


def test_the_multiply_adds_are_those_of_the_size_beside_them(capsys) -> None:
    _, rows = call_json(capsys, "architectures")
    sizes = {row["name"]: (row["image size"], row["classes"]) for row in rows}
    assert (sizes["resnet50"], sizes["resnet20"]) == ((224, 1000), (32, 10))
    for row in rows:
        side = row["image size"]
        assert row["multiply-adds"] == arch.multiply_adds(row["name"], side, side)


def test_an_error_as_json_and_as_a_traceback(tmp_path, capsys) -> None:
    status, report = call_json(capsys, "inspect", tmp_path / "none.pth")
    assert status == 2
    assert report == {
        "error": f"{tmp_path}/none.pth: no such file or folder",
        "kind": "FormatError",
    }
    with pytest.raises(weight_port.FormatError):
        cli.main(["inspect", str(tmp_path / "none.pth"), "--debug"])


def test_json_has_no_nan(capsys, tmp_path) -> None:
    weight_port.write(tmp_path / "x.npz", {"w": np.array([np.nan])})
    _, out, _ = call(capsys, "inspect", tmp_path / "x.npz", "--stats", "--json")
    report = json.loads(out, parse_constant=pytest.fail)
    assert report["tree"]["w"]["w"]["mean"] == "nan"


def test_interruption_is_status_130(monkeypatch, capsys, tmp_path) -> None:
    def interrupt(_options) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("weight_port.commands.tables.run", interrupt)
    status, _, err = call(capsys, "formats")
    assert (status, err) == (130, "weight-port: interrupted; nothing half-written is left\n")


RECORDED = ROOT / "benchmarks" / "results" / "forward-cpu.json"


@pytest.mark.parametrize(
    "command",
    [["weight_port", "architectures"], ["benchmarks", "show", str(RECORDED)], ["parity", "--list"]],
)
def test_nothing_is_said_once_nobody_reads(command: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # as `| head` does, once it has its lines
    try:
        done = subprocess.run(
            [sys.executable, "-m", *command], stdout=writer, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


# -- completion and start-up


def test_completion(tmp_path) -> None:
    line = "weight-port di"
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "said"),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "IFS": "\013",
    }
    done = subprocess.run(
        [sys.executable, "-m", "weight_port"], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert set((tmp_path / "said").read_text().split("\013")) == {"diff", "dialects"}


@pytest.mark.parametrize("command", [["--help"], ["formats"], ["dialects"], ["architectures"]])
def test_what_needs_no_numpy_loads_none(command: list[str]) -> None:
    program = (
        "import sys\nfrom weight_port.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "assert not {'numpy', 'ml_dtypes', 'tarfile', 'zipfile', 'json.tool'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


# -- convert: which of several networks


def test_the_network_can_be_named_where_its_tensors_are_those_of_several(
    tmp_path, fake, same_bits, capsys
) -> None:
    source, out = tmp_path / "d2.pth", tmp_path / "tv.pth"
    weight_port.write(source, fake("detectron2", "resnet50"))
    words = ("convert", source, out, "--to", "torchvision")
    status, _, error = call(capsys, *words)
    assert status == 2
    assert "pass architecture='resnet50' (--architecture)" in error
    assert not out.exists()
    status, said, error = call(capsys, *words, "--architecture", "resnet50")
    assert status == 0, error
    assert "resnet50 in detectron2" in said
    same_bits(weight_port.read(out), fake("torchvision", "resnet50"))
    status, _, error = call(capsys, *words, "--force", "--architecture", "resnet51")
    assert status == 2
    assert "unknown architecture 'resnet51': one of resnet18, " in error
    with pytest.raises(SystemExit):
        cli.main([*map(str, words[:3]), "--to", "raw", "--architecture", "resnet50"])
    assert "no --from, --architecture or --no-top" in capsys.readouterr().err
