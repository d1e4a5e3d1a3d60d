"""The command in a process of its own: what it prints, and what it gives back."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import weight_port
from weight_port.dialects import keys


def run(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "weight_port", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False)


def refused(*arguments: object, usage: bool = False) -> str:
    """What a run that fails says: no traceback, nothing that promises success."""
    done = run(*arguments)
    said = done.stderr.decode()
    assert done.returncode == 2, said
    assert "Traceback" not in said
    assert said.startswith("usage: " if usage else "weight-port: ")
    return said


def succeeds(*arguments: object) -> str:
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fake) -> Path:
    """torchvision's ResNet-18 with 7 classes, as a .pth file in a folder of its own."""
    folder = tmp_path_factory.mktemp("cli")
    weight_port.write(folder / "tv.pth", fake("torchvision", "resnet18"))
    return folder


# -- inspect


def test_inspect(folder) -> None:
    size = (folder / "tv.pth").stat().st_size
    lines = succeeds("inspect", folder / "tv.pth").splitlines()
    undecided = [line for line in lines if line.startswith("undecided     ")]
    assert undecided[0].endswith(" timm has the same names")
    assert "dilated (" in undecided[1]
    assert [line for line in lines if line not in undecided] == [
        f"file          {folder}/tv.pth",
        "format        pth",
        f"size          {size / 2**20:.1f} MiB",
        "tensors       122",
        "dtypes        float32 (102), int64 (20)",
        "dialect       torchvision: 102 of its 102 names are those of resnet18 in torchvision",
        "architecture  resnet18, 3 input channels, 7 classes",
        # 11,689,512 - 1000 * 513 + 7 * 513, and two statistics for each of 4,800 channels
        "parameters    11,180,103 trainable, 9,600 statistics",
    ]


def test_inspect_of_a_1x_folder_without_a_classifier(tmp_path, fake) -> None:
    tensors = fake("paddle1", "resnet50", in_channels=4, include_top=False)
    tensors = {key: array.astype(ml_dtypes.bfloat16) for key, array in tensors.items()}
    weight_port.write(tmp_path / "net", tensors)
    said = succeeds("inspect", tmp_path / "net")
    assert "format        paddle1-folder" in said
    assert "dtypes        bfloat16 (265)" in said
    assert "architecture  resnet50, 4 input channels, no classifier" in said


def test_inspect_says_of_other_files_that_it_knows_no_dialect(tmp_path) -> None:
    weight_port.write(tmp_path / "x.safetensors", {"a": np.zeros((3, 4)), "b": np.zeros(5)})
    said = succeeds("inspect", tmp_path / "x.safetensors")
    assert "values        17" in said
    assert "dialect       none: the names fit no network in paddle1 or " in said
    assert "architecture" not in said


def test_inspect_lists_what_is_wrong_and_fails(tmp_path, folder) -> None:
    tensors = dict(weight_port.read(folder / "tv.pth"))
    del tensors["layer1.0.conv1.weight"]
    weight_port.write(tmp_path / "less.pth", tensors)
    said = refused("inspect", tmp_path / "less.pth")
    assert "missing (1):\n    - layer1.0.conv1.weight  (res2a_branch2a_weights)" in said


# -- convert


@pytest.mark.parametrize(
    "to",
    [
        row.name
        for row in keys.DIALECTS.values()
        if "resnet18" in row.holds and row.linear and not row.padding
    ],
)
def test_convert(tmp_path, folder, same_bits, fake, to: str) -> None:
    out = tmp_path / ("net" if to == "paddle1" else "net.safetensors")
    said = succeeds("convert", folder / "tv.pth", out, "--to", to).splitlines()
    torch = keys.DIALECTS[to].torch and keys.DIALECTS[to].writes_counters
    reason = "102 of its 102 names are those of resnet18 in torchvision"
    assert said[:2] == [
        f"{folder}/tv.pth: resnet18 in torchvision ({reason})",
        f"{out}: {122 if torch else 102} tensors in {to}",
    ]
    rest = [line for line in said[2:] if not line.startswith(("  note: ", "  undecided: "))]
    assert sum(line.startswith("  undecided: taken for resnet18; ") for line in said) == 1
    assert rest == [] if torch else rest[0].startswith("  left out: 20 tensors: bn1.")
    read = weight_port.read(out)
    same_bits(read, weight_port.convert(fake("torchvision", "resnet18"), to=to))


def test_convert_says_what_it_made(tmp_path, fake) -> None:
    weight_port.write(tmp_path / "p.pdparams", fake("paddle_impl", "resnet18"))
    said = succeeds("convert", tmp_path / "p.pdparams", tmp_path / "t.pth", "--to", "torchvision")
    assert "  made: 20 × num_batches_tracked = 0, which Paddle has not" in said


def test_convert_without_the_top(tmp_path, folder) -> None:
    out = tmp_path / "backbone.pdparams"
    said = succeeds("convert", folder / "tv.pth", out, "--to", "paddle1", "--no-top")
    assert "left out: 22 tensors: bn1.num_batches_tracked, " in said
    assert not weight_port.detect(weight_port.read(out)).include_top


def test_force_replaces(tmp_path, folder) -> None:
    out = tmp_path / "x.pth"
    out.write_bytes(b"mine")
    said = refused("convert", folder / "tv.pth", out, "--to", "pytorch_impl")
    assert said == f"weight-port: {out}: exists; pass --force (force=True) to replace it\n"
    assert out.read_bytes() == b"mine"
    succeeds("convert", folder / "tv.pth", out, "--to", "pytorch_impl", "--force")
    assert weight_port.detect(weight_port.read(out)).dialect == "pytorch_impl"


def test_from_settles_what_the_names_do_not(tmp_path, fake) -> None:
    tensors = fake("torchvision", "resnet18", include_top=False)
    shared = {
        key: array
        for key, array in tensors.items()
        if not key.endswith(("running_mean", "running_var", "num_batches_tracked"))
    }
    weight_port.write(tmp_path / "x.pth", shared)
    convert = ("convert", tmp_path / "x.pth", tmp_path / "y", "--to", "paddle1", "--no-top")
    said = refused(*convert)
    assert "resnet18 in torchvision and resnet18 in paddle.vision equally well" in said
    assert "say which with --from" in said
    assert "missing (40):" in refused(*convert, "--from", "torchvision")


# -- refused


def test_no_such_file(tmp_path) -> None:
    said = refused("inspect", tmp_path / "none.pth")
    assert said == f"weight-port: {tmp_path}/none.pth: no such file or folder\n"


def test_empty_file(tmp_path) -> None:
    (tmp_path / "x.pth").touch()
    said = refused("convert", tmp_path / "x.pth", tmp_path / "y.pth", "--to", "torchvision")
    assert said == f"weight-port: {tmp_path}/x.pth: the file is empty; get it again\n"


@pytest.mark.parametrize(
    ("suffix", "named", "said"),
    [
        (".pdparams", ".npz", "named .npz but its content is pdparams; rename it to x.pdparams"),
        (".safetensors", ".pdparams", "content is safetensors; rename it to x.safetensors if"),
        (".pth", ".safetensors", "named .safetensors but its content is pth; rename it to x.pth"),
    ],
)
def test_a_file_under_another_name(tmp_path, suffix: str, named: str, said: str) -> None:
    weight_port.write(tmp_path / f"x{suffix}", {"w": np.zeros(3)})
    (tmp_path / f"x{suffix}").rename(tmp_path / f"x{named}")
    assert said in refused("inspect", tmp_path / f"x{named}")
    # Without a suffix that promises something else, the content decides.
    (tmp_path / f"x{named}").rename(tmp_path / "x.bin")
    assert f"format        {suffix[1:]}" in succeeds("inspect", tmp_path / "x.bin")


@pytest.mark.parametrize(("suffix", "named"), [(".pdparams", ".pth"), (".pth", ".pdparams")])
def test_a_pickle_under_the_other_frameworks_name(tmp_path, suffix: str, named: str) -> None:
    weight_port.write(tmp_path / f"x{suffix}", {"w": np.zeros(3)})
    (tmp_path / f"x{suffix}").rename(tmp_path / f"x{named}")
    assert f"format        {suffix[1:]}" in succeeds("inspect", tmp_path / f"x{named}")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.pdparams", b"\n<!DOCTYPE html><html></html>", "a web page (an error or a login) saved"),
        ("x.pth", b"<HTML><body>", "a web page (an error or a login) saved"),
        ("x.pdparams", b"version https://git-lfs.github.com/spec/v1\n", "run `git lfs pull`"),
        ("x.tar.gz", b"\x1f\x8b\x08\0" + b"x" * 99, "compressed by gzip; unpack it first"),
        ("x.h5", b"\x89HDF\r\n\x1a\n", "damaged HDF5 file: 1 bytes wanted at byte 8 of 8"),
        ("x.npy", b"\x93NUMPY\x01\0v\0{'descr': '<f4'", "one NumPy array, without names; save"),
        ("x.caffemodel", b"\n\x05LeNet", "no layer in it has weights"),
        ("x.pth.lz4", b"\x04\x22M\x18" + b"x" * 9, "compressed by lz4; unpack it first"),
        ("x.pdparams", b"\xef\xbb\xbf\x80\x04}.", "a byte-order mark before its first byte"),
        ("x.pdmodel", b"\x0a\x05abcde", "a program, without weights; name the .pdiparams"),
        ("x.pdparams", b"\0" * 100, "its first bytes are those of none of .pdparams, "),
        ("x", b"x", ".pt2; get it again"),
    ],
)
def test_what_is_no_checkpoint(tmp_path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert said in refused("inspect", tmp_path / name)


def test_missing_keys_are_listed_and_nothing_is_written(tmp_path, folder) -> None:
    tensors = dict(weight_port.read(folder / "tv.pth"))
    for key in ("layer2.0.downsample.1.bias", "fc.weight"):
        del tensors[key]
    weight_port.write(tmp_path / "less.pth", tensors)
    said = refused("convert", tmp_path / "less.pth", tmp_path / "out", "--to", "paddle1")
    assert said.splitlines()[1:] == [
        "  missing (2):",
        "    - layer2.0.downsample.1.bias  (bn3a_branch1_offset)  [128]",
        "    - fc.weight  (fc_0.w_0)  [7, 512]",
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["less.pth"]


def test_a_hostile_file(tmp_path) -> None:
    (tmp_path / "x.pdparams").write_bytes(b"\x80\x04cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
    said = refused("inspect", tmp_path / "x.pdparams")
    assert "asks for os.system, which weights have no need of; refused, nothing was run" in said


def test_a_folder_holds_paddle1_only(tmp_path, folder) -> None:
    said = refused("convert", folder / "tv.pth", tmp_path / "out", "--to", "torchvision")
    assert (
        "a folder holds Paddle 1.x variable files, so --to paddle1 or raw; for torchvision name"
        in said
    )
    assert not list(tmp_path.iterdir())


def test_a_suffix_without_a_format(tmp_path, folder) -> None:
    said = refused("convert", folder / "tv.pth", tmp_path / "x.onnx", "--to", "torchvision")
    assert "no format has the suffix .onnx: one of .pdparams" in said


def test_paddleclas_form(tmp_path, fake) -> None:
    weight_port.write(tmp_path / "c.pdparams", fake("paddle_impl", "resnet18_paddleclas"))
    said = refused("convert", tmp_path / "c.pdparams", tmp_path / "x.pth", "--to", "transformers")
    assert "resnet18_paddleclas has a projection in its first block (res2a_branch1)" in said
    assert "these can hold it: paddle1, pytorch_impl, paddle_impl" in said


@pytest.mark.parametrize("option", ["--to", "--from"])
def test_an_unknown_dialect_is_wrong_usage(folder, tmp_path, option: str) -> None:
    arguments = {"--to": "torchvision", "--from": "torchvision", option: "theano"}
    flat = [word for pair in arguments.items() for word in pair]
    said = refused("convert", folder / "tv.pth", tmp_path / "x.pth", *flat, usage=True)
    assert f"argument {option}: invalid choice: 'theano'" in said
    assert all(dialect in said for dialect in keys.DIALECTS)


@pytest.mark.parametrize(
    "arguments", [[], ["inspect"], ["convert", "a", "b"], ["port", "a"], ["inspect", "a", "--x"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    assert refused(*arguments, usage=True).startswith("usage: ")


def test_help_names_every_dialect_and_format() -> None:
    said = " ".join(succeeds("convert", "--help").split()).replace("- ", "-")  # hyphens break lines
    assert all(dialect in said for dialect in keys.DIALECTS)
    assert all(suffix in said for suffix in (".pdparams", ".safetensors", ".pth", ".pt"))


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + ".pth"])
def test_names_too_long_for_the_system(tmp_path, folder, name: str) -> None:
    assert "File name too long" in refused("inspect", tmp_path / name)
    said = refused("convert", folder / "tv.pth", tmp_path / name, "--to", "paddle1")
    assert "File name too long" in said


def test_names_that_are_no_text_and_names_that_drive_a_terminal(tmp_path) -> None:
    odd = os.fsdecode(b"net\xff\x1b[31m")
    key = "w\x1b]0;owned\x07"
    weight_port.write(tmp_path / odd, {"w\x1b[0m": np.zeros(3)})
    entry = {key: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    header = json.dumps(entry).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    for path in (tmp_path / odd, tmp_path / "x.safetensors"):
        said = succeeds("inspect", path)
        assert "\x1b" not in said
        assert "\\x1b" in said
        failed = refused("convert", path, tmp_path / "out.pth", "--to", "torchvision")
        assert "\x1b" not in failed
        assert "\\x1b" in failed
