""".npz, sharded safetensors, tar archives, optimizer states and wrappers' prefixes."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import paddle
import pytest

import weight_port
from weight_port.conversion import recognise
from weight_port.formats import files, npz

DTYPES = ["bool", "int8", "uint8", "int16", "int32", "int64", "uint16", "uint32", "uint64",
          "float16", "float32", "float64", "complex64", "complex128"]  # fmt: skip
ARRAYS = {
    **{dtype: np.arange(6).astype(dtype).reshape(2, 3) for dtype in DTYPES},
    "scalar": np.array(2.5),
    "empty": np.zeros((3, 0, 2), np.float32),
    "fortran": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    "a/b.c": np.arange(3, dtype=np.float32),
}

# -- .npz


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_wrote(tmp_path, same_bits, save) -> None:
    save(tmp_path / "x.npz", **ARRAYS)
    same_bits(weight_port.read(tmp_path / "x.npz"), ARRAYS)


def test_numpy_loads_what_we_write(tmp_path, same_bits) -> None:
    bfloat16 = np.arange(4, dtype=np.float32).astype(ml_dtypes.bfloat16)
    weight_port.write(tmp_path / "x.npz", {**ARRAYS, "bf": bfloat16})
    with np.load(tmp_path / "x.npz") as archive:
        loaded = dict(archive)
    # NumPy has no bfloat16: it sees two bytes, as in what it writes itself.
    same_bits({**loaded, "bf": loaded["bf"].view(ml_dtypes.bfloat16)}, {**ARRAYS, "bf": bfloat16})
    np.savez(tmp_path / "theirs.npz", bf=bfloat16)
    same_bits(weight_port.read(tmp_path / "theirs.npz"), {"bf": bfloat16})
    same_bits(weight_port.read(tmp_path / "x.npz"), {**ARRAYS, "bf": bfloat16})


def archive_of(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy(np.array([{}], dtype=object)), "of other than numbers"),
        (npy(np.zeros(2, [("a", "f4"), ("b", "f4")])), "of other than numbers"),
        (npy(np.array(["text"])), "which is no number: refused"),
        (npy(np.zeros(2, ">f4")), "big-endian numbers"),
        (npy(np.zeros(2))[:-1], "in 15 bytes"),
        (npy(np.zeros(2)) + b"x", "in 17 bytes"),
        (b"\x93NUMPY\x01\0\xff\xff{", "a header of 65535 bytes: truncated"),
        (npy(np.zeros(2)).replace(b"(2,)", b"(2**9,)"), "of other than numbers"),
        (b"PNG", "not NumPy's array format"),
    ],
)
def test_a_damaged_or_hostile_array_is_an_error(tmp_path, content: bytes, said: str) -> None:
    path = archive_of(tmp_path / "x.npz", {"w.npy": content})
    with pytest.raises(weight_port.FormatError, match=said.replace("*", r"\*")):
        weight_port.read(path)


def test_a_zip_bomb_is_an_error_before_it_is_unpacked(tmp_path) -> None:
    bomb = npy(np.zeros(40 << 20, np.uint8))
    path = archive_of(tmp_path / "x.npz", {"w.npy": bomb}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(weight_port.FormatError, match="would grow to 41943168: a zip bomb"):
        weight_port.read(path)


def test_a_zip_that_lies_about_its_size_is_an_error(tmp_path) -> None:
    data = npy(np.zeros(1000))
    path = archive_of(tmp_path / "x.npz", {"w.npy": data}, zipfile.ZIP_DEFLATED)
    size, less = struct.pack("<I", len(data)), struct.pack("<I", len(data) - 8)
    path.write_bytes(path.read_bytes().replace(size, less))
    with pytest.raises(weight_port.FormatError, match=r"damaged data of w\.npy; get it again"):
        weight_port.read(path)


def test_other_things_in_the_zip_are_an_error(tmp_path) -> None:
    path = archive_of(tmp_path / "x.npz", {"w.npy": npy(np.zeros(1)), "run.py": b"print()"})
    with pytest.raises(weight_port.FormatError, match=r"holds 'run\.py', which is no \.npy file"):
        weight_port.read(path)


def test_the_header_is_numpys() -> None:
    for array in ARRAYS.values():
        if not array.flags.f_contiguous or array.ndim < 2:
            assert npz._head(array) + array.tobytes() == npy(array)


# -- sharded safetensors


def shards(folder: Path, tensors: dict[str, np.ndarray]) -> Path:
    """Two shards and their index, as huggingface_hub names them."""
    weight_map = {}
    for number, keys in enumerate((list(tensors)[::2], list(tensors)[1::2]), start=1):
        name = f"model-0000{number}-of-00002.safetensors"
        weight_port.write(folder / name, {key: tensors[key] for key in keys})
        weight_map |= dict.fromkeys(keys, name)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return index


def test_shards(tmp_path, fake, same_bits) -> None:
    tensors = fake("torchvision", "resnet18")
    index = shards(tmp_path, tensors)
    same_bits(weight_port.read(index), tensors)
    same_bits(weight_port.read(tmp_path), tensors)
    assert files.open_checkpoint(index).format.name == "safetensors-sharded"


def test_shards_that_are_not_all_there_are_an_error(tmp_path) -> None:
    tensors = {name: np.zeros(3) for name in "abcd"}
    index = shards(tmp_path, tensors)
    text = index.read_text()
    second = tmp_path / "model-00002-of-00002.safetensors"
    for change, said in (
        (text.replace('"b"', '"e"'), "holds 'b', which the index has not"),
        (text.replace('"b": "model-00002', '"b": "../model-00002'), "is no plain file beside it"),
        (text.replace("}}", ', "e": "model-00001-of-00002.safetensors"}}'), "'e' first"),
        ('{"weight_map": {"a": 3}}', "weight_map is not names to files"),
        ('{"weight_map": ', "no index of shards"),
    ):
        assert change != text
        index.write_text(change)
        with pytest.raises(weight_port.FormatError, match=said):
            weight_port.read(index)
    index.write_text(text)
    second.rename(tmp_path / "elsewhere")
    second.symlink_to("elsewhere")
    with pytest.raises(weight_port.FormatError, match="links are not followed"):
        weight_port.read(index)


# -- wrappers' prefixes


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "backbone.", "module._orig_mod."])
def test_prefixes_are_taken_off_and_said(tmp_path, fake, same_bits, prefix: str) -> None:
    tensors = fake("torchvision", "resnet18")
    wrapped = {prefix + key: array for key, array in tensors.items()}
    weight_port.write(tmp_path / "a.pth", wrapped)
    same_bits(weight_port.read(tmp_path / "a.pth"), wrapped)
    done = weight_port.convert_file(tmp_path / "a.pth", tmp_path / "b.npz", "pytorch_impl")
    assert done.notes == (f"prefix {prefix!r} taken off every name",)
    same_bits(weight_port.read(tmp_path / "b.npz"), weight_port.convert(tensors, "pytorch_impl"))
    weight_port.convert_file(tmp_path / "a.pth", tmp_path / "raw.npz", "raw")
    same_bits(weight_port.read(tmp_path / "raw.npz"), wrapped)


def test_a_prefix_that_not_all_have_stays(fake) -> None:
    tensors = {"module.a": np.zeros(1), "b": np.zeros(1)}
    assert recognise.strip_prefixes(tensors) == (tensors, "")


# -- optimizer states and nested dicts of Paddle's


def test_an_optimizers_state(tmp_path, same_bits) -> None:
    layer = paddle.nn.Linear(3, 4)
    scheduler = paddle.optimizer.lr.StepDecay(0.1, 2)
    optimizer = paddle.optimizer.Momentum(scheduler, parameters=layer.parameters())
    layer(paddle.ones([2, 3])).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    paddle.save(state, str(tmp_path / "x.pdopt"))
    contents = files.open_checkpoint(tmp_path / "x.pdopt").contents
    expected = {k: v.numpy() for k, v in state.items() if isinstance(v, paddle.Tensor)}
    assert len(expected) == 2
    same_bits(contents.tensors, expected)
    (note,) = contents.notes
    assert note.startswith("left out 2 that are no tensors: LR_Scheduler/last_epoch (int)")


def test_a_state_dict_within_a_dict(tmp_path, same_bits) -> None:
    layer = paddle.nn.Linear(3, 4)
    weights = {key: value.numpy() for key, value in layer.state_dict().items()}
    paddle.save({"state_dict": layer.state_dict(), "epoch": 3}, str(tmp_path / "x.pdparams"))
    contents = files.open_checkpoint(tmp_path / "x.pdparams").contents
    same_bits(contents.tensors, weights)
    assert contents.notes == ("taken from 'state_dict'",)
    paddle.save({"student": layer.state_dict(), "epoch": 3}, str(tmp_path / "y.pdparams"))
    read = weight_port.read(tmp_path / "y.pdparams")
    same_bits(read, {f"student/{key}": array for key, array in weights.items()})


def test_two_tensors_of_one_name_are_an_error(tmp_path) -> None:
    content = {"a": {"b": np.zeros(1)}, "a/b": np.ones(1)}
    (tmp_path / "x.pdparams").write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(weight_port.FormatError, match="two tensors are called 'a/b'"):
        weight_port.read(tmp_path / "x.pdparams")


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_tensor_that_paddle_cut_into_slices(tmp_path, same_bits, monkeypatch, protocol) -> None:
    # Paddle cuts at 2**30 bytes, a number it makes with int(); a smaller one takes the same path.
    small = lambda value: 7 if value > 1e6 else int(value)  # noqa: E731
    monkeypatch.setattr("paddle.framework.io_utils.int", small, raising=False)
    arrays = {"w": np.arange(30, dtype=np.float32).reshape(5, 6), "b": np.ones(3, np.float32)}
    tensors = {key: paddle.to_tensor(array) for key, array in arrays.items()}
    paddle.save(tensors, str(tmp_path / "x.pdparams"), protocol=protocol)
    monkeypatch.undo()
    assert b"w@@.4" in (tmp_path / "x.pdparams").read_bytes()
    same_bits(weight_port.read(tmp_path / "x.pdparams"), arrays)


def test_slices_that_are_one_array_many_times_are_an_error(tmp_path) -> None:
    array = np.zeros(10_000)
    parts = {f"w@@.{n}": array for n in range(50)}  # pickled once, then only referred to
    table = {"w": {"OriginShape": (500_000,), "slices": list(parts)}}
    content = pickle.dumps({**parts, "UnpackBigParamInfor@@": table}, protocol=2)
    (tmp_path / "x.pdparams").write_bytes(content)
    with pytest.raises(weight_port.FormatError, match="slices take more bytes than the file has"):
        weight_port.read(tmp_path / "x.pdparams")


# -- tar archives


def tar_of(path: Path, folder: Path, name: str) -> Path:
    with tarfile.open(path, "w") as archive:
        archive.add(folder, name)
    return path


def test_a_1x_folder_in_an_archive(tmp_path, fake, same_bits) -> None:
    tensors = fake("paddle1", "resnet18")
    weight_port.write(tmp_path / "net", tensors)
    path = tar_of(tmp_path / "ResNet18_pretrained.tar", tmp_path / "net", "ResNet18_pretrained")
    same_bits(weight_port.read(path), tensors)
    weight_port.convert_file(path, tmp_path / "x.pdparams", "paddle_impl")
    ours = weight_port.convert(tensors, "paddle_impl")
    same_bits(weight_port.read(tmp_path / "x.pdparams"), ours)
    assert not (tmp_path / "ResNet18_pretrained").exists()


def test_an_archive_of_several_checkpoints(tmp_path, same_bits) -> None:
    folder = tmp_path / "train"
    folder.mkdir()
    for name in ("best.pdparams", "student.pdparams", "best.pdopt"):
        weight_port.write(folder / name, {name: np.arange(5.0)})
    path = tar_of(tmp_path / "train.tar", folder, "train")
    with pytest.raises(weight_port.FormatError, match=r"of 2 .*train\.tar/train/best\.pdparams, "):
        weight_port.read(path)
    read = weight_port.read(path / "train" / "student.pdparams")
    same_bits(read, {"student.pdparams": np.arange(5.0)})
    with pytest.raises(weight_port.FormatError, match="holds nothing called train/other"):
        weight_port.read(path / "train" / "other")


def test_links_and_outside_names_in_an_archive_lead_nowhere(tmp_path, same_bits) -> None:
    weight_port.write(tmp_path / "secret", {"w": np.ones(3)})
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        link = tarfile.TarInfo("net/w")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret" / "w")
        archive.addfile(link)
        archive.add(tmp_path / "secret" / "w", "net/../../../escaped/v")
    same_bits(weight_port.read(tmp_path / "x.tar"), {"v": np.ones(3)})
    assert not (tmp_path.parent / "escaped").exists()


def test_a_truncated_archive_is_an_error(tmp_path, fake) -> None:
    weight_port.write(tmp_path / "net", {"w": np.zeros(100_000), "v": np.ones(3)})
    path = tar_of(tmp_path / "x.tar", tmp_path / "net", "net")
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(weight_port.FormatError, match=r"truncated|damaged tar archive"):
        weight_port.read(path)
