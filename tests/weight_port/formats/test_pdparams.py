"""Paddle's files, against paddle.save, paddle.load and bytes made by hand."""

from __future__ import annotations

import collections
import pickle
import resource
import struct
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import paddle
import pytest

import paddle_impl
import weight_port
from weight_port.formats import pdparams
from weight_port.formats.files import open_checkpoint

DTYPES = ["bool", "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64"]
PROTOCOLS = [2, 3, 4]
SHAPES = [(), (1,), (0,), (3, 0, 2), (5,), (2, 3, 4, 5)]


def numbers(shape: tuple[int, ...], dtype) -> np.ndarray:
    values = np.random.default_rng(len(shape)).uniform(-100, 100, shape)
    return np.asarray(values).astype(np.int8 if "int" in str(dtype) else np.float32).astype(dtype)


def to_numpy(tensor: paddle.Tensor | np.ndarray) -> np.ndarray:
    if isinstance(tensor, np.ndarray):  # what paddle.load leaves as it is among tensors
        return tensor
    array = tensor.numpy()
    return array.view(ml_dtypes.bfloat16) if tensor.dtype == paddle.bfloat16 else array


def load_with_paddle(path: Path) -> dict[str, np.ndarray]:
    """What paddle.load makes of a file, as NumPy."""
    return {key: to_numpy(tensor) for key, tensor in paddle.load(str(path)).items()}


def seeded(model: paddle.nn.Layer) -> paddle.nn.Layer:
    """The model with statistics that all differ, as trained ones do."""
    random = np.random.default_rng(0)
    for key, tensor in model.state_dict().items():
        if key.endswith(("_mean", "_variance")):
            tensor.set_value(random.uniform(0.5, 2, tensor.shape).astype(np.float32))
    return model


@pytest.fixture(scope="module")
def vision() -> paddle.nn.Layer:
    return seeded(paddle.vision.models.resnet18(num_classes=7))


# -- .pdparams that Paddle wrote


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_dygraph_state_dict(tmp_path, same_bits, vision, protocol: int) -> None:
    path = tmp_path / "model.pdparams"
    paddle.save(vision.state_dict(), str(path), protocol=protocol)
    assert pdparams.NAME_TABLE in pickle.loads(path.read_bytes())  # noqa: S301 (our own file)
    tensors = weight_port.read(path)
    same_bits(tensors, load_with_paddle(path))
    same_bits(tensors, {key: value.numpy() for key, value in vision.state_dict().items()})
    assert weight_port.detect(tensors).dialect == "paddle.vision"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_static_dict_of_arrays(tmp_path, same_bits, fake, protocol: int) -> None:
    arrays = {key: np.array(array) for key, array in fake("paddle1", "resnet18").items()}
    path = tmp_path / "static.pdparams"
    paddle.save(arrays, str(path), protocol=protocol)
    same_bits(weight_port.read(path), arrays)
    same_bits(weight_port.read(path), load_with_paddle(path))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", [dict, collections.OrderedDict])
def test_every_form_of_a_tensor(tmp_path, same_bits, kind: type, protocol: int) -> None:
    tensor = paddle.to_tensor(numbers((3, 4), "float32"))
    owner = paddle.to_tensor(numbers((5,), "float64"))  # must outlive the LoDTensor inside it
    # A plain array among them keeps paddle.save from taking it all for a state dict, so that
    # tensors go in as they are: as (name, array), and LoDTensors as eval("data", {"data": array}).
    mixed = kind(
        tensor=tensor,
        bare=owner.value().get_tensor(),
        parameter=paddle.create_parameter([2, 2], "float32"),
        array=numbers((2, 3), "int64"),
    )
    path = tmp_path / "mixed.pdparams"
    paddle.save(mixed, str(path), protocol=protocol)
    said = path.read_bytes()
    assert b"eval" in said
    assert tensor.name.encode() in said
    tensors = weight_port.read(path)
    same_bits(tensors, load_with_paddle(path))
    same_bits(tensors, {key: np.asarray(value) for key, value in mixed.items()})


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dtype", [*DTYPES, "complex64", "complex128", "bfloat16"])
def test_every_dtype_and_shape(tmp_path, same_bits, dtype: str, protocol: int) -> None:
    tensors = {
        str(shape): paddle.to_tensor(numbers(shape, "float32")).astype(dtype) for shape in SHAPES
    }
    path = tmp_path / "dtypes.pdparams"
    paddle.save(tensors, str(path), protocol=protocol)
    read = weight_port.read(path)
    assert {array.dtype.name for array in read.values()} == {dtype}
    same_bits(read, load_with_paddle(path))


def test_fortran_order(tmp_path, same_bits) -> None:
    arrays = {"f": np.asfortranarray(numbers((3, 4, 5), "float32"))}
    path = tmp_path / "fortran.pdparams"
    paddle.save(arrays, str(path))
    same_bits(weight_port.read(path), arrays)
    same_bits(weight_port.read(path), load_with_paddle(path))


# -- .pdparams made by hand


def lod_tensor_by_hand(array: np.ndarray) -> bytes:
    """{'w': eval('data', {'data': array})} in protocol 2, as Paddle 2.0 wrote LoDTensors."""
    inner = pickle.dumps(array, protocol=2)[2:-1]
    # Memo numbers are free here: nothing outside the array's own opcodes refers to them.
    return (
        b"\x80\x02}X\x01\x00\x00\x00w"
        b"c__builtin__\neval\nX\x04\x00\x00\x00data}X\x04\x00\x00\x00data" + inner + b"s\x86Rs."
    )


def test_lod_tensor_by_hand(tmp_path, same_bits) -> None:
    array = numbers((3, 4), "float32")
    path = tmp_path / "lod.pdparams"
    path.write_bytes(lod_tensor_by_hand(array))
    same_bits(weight_port.read(path), {"w": array})
    same_bits(load_with_paddle(path), {"w": array})


def test_sliced_tensors_are_put_together(tmp_path, same_bits) -> None:
    # Paddle cuts at 2**30 bytes; the same table with small slices, in its own file.
    array = numbers((3, 5, 7), "float32")
    flat = array.reshape(-1)
    parts = {"w@@.0": flat[:40], "w@@.1": flat[40:80], "w@@.2": flat[80:]}
    table = {"w": {"OriginShape": array.shape, "slices": list(parts)}}
    content = {**parts, "b": flat[:3], pdparams.SLICES: table}
    path = tmp_path / "sliced.pdparams"
    path.write_bytes(pickle.dumps(content, protocol=2))
    same_bits(weight_port.read(path), {"w": array, "b": flat[:3]})
    same_bits(weight_port.read(path), load_with_paddle(path))


@pytest.mark.parametrize(
    "table",
    [
        5,
        {"w": 5},
        {"w": {"slices": ["w@@.0", "gone"], "OriginShape": (2,)}},
        {"w": {"slices": ["w@@.0", "w@@.0"], "OriginShape": (4,)}},
        {"w": {"slices": ["w@@.0"], "OriginShape": (3,)}},
        {"w": {"slices": ["w@@.0"]}},
        {"w": {"slices": [], "OriginShape": (0,)}},
    ],
)
def test_a_damaged_table_of_slices_is_an_error(tmp_path, table) -> None:
    content = {"w@@.0": np.zeros(2, np.float32), pdparams.SLICES: table}
    (tmp_path / "x.pdparams").write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(weight_port.FormatError, match=f"damaged {pdparams.SLICES} table"):
        weight_port.read(tmp_path / "x.pdparams")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "holds a list, not tensors by name"),
        (
            {"LR_Scheduler": {"last_epoch": 3}},
            r"no tensors found; it holds 'LR_Scheduler/last_epoch' \(int\)",
        ),
        ({}, "no tensors found; it holds nothing"),
        ({"w": np.array(["a"])}, r"no tensors found; it holds 'w' \(PendingArray\)"),
        ({"w": np.zeros(2, ">f4")}, "big-endian numbers; save them again"),
    ],
)
def test_what_holds_no_tensors_by_name_is_an_error_that_says_so(tmp_path, content, said) -> None:
    path = tmp_path / "odd.pdparams"
    path.write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(weight_port.FormatError, match=said) as raised:
        weight_port.read(path)
    assert str(raised.value).startswith(f"{path}: ")


# -- .pdparams that we wrote


def test_paddle_loads_what_we_write(tmp_path, same_bits) -> None:
    arrays = {
        f"{dtype} {shape}": numbers(shape, dtype)
        for dtype in [*DTYPES, ml_dtypes.bfloat16]
        for shape in SHAPES
    }
    arrays["transposed"] = numbers((3, 4), "float32").T
    arrays["bfloat16 transposed"] = numbers((3, 4), "float32").T.astype(ml_dtypes.bfloat16)
    arrays["big-endian"] = numbers((3, 4), ">f4")
    weight_port.write(tmp_path / "ours.pdparams", arrays)
    wanted = {**arrays, "big-endian": arrays["big-endian"].astype("<f4")}
    same_bits(load_with_paddle(tmp_path / "ours.pdparams"), wanted)
    same_bits(weight_port.read(tmp_path / "ours.pdparams"), wanted)


def test_bfloat16_is_said_where_the_file_says_it_not(tmp_path) -> None:
    path = tmp_path / "half.pdparams"
    weight_port.write(path, {"a": np.ones(2, ml_dtypes.bfloat16), "b": np.ones(2, np.float32)})
    notes = open_checkpoint(path).contents.notes
    assert notes == ("1 of 16-bit integers read as bfloat16, as paddle.load does",)
    weight_port.write(tmp_path / "plain.pdparams", {"b": np.ones(2, np.float32)})
    assert open_checkpoint(tmp_path / "plain.pdparams").contents.notes == ()


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "datetime64[s]", ml_dtypes.float8_e4m3fn])
def test_what_paddle_would_not_read_back_is_refused(tmp_path, dtype) -> None:
    with pytest.raises(weight_port.DestinationError, match=r"w: \.pdparams has no way to hold"):
        weight_port.write(tmp_path / "x.pdparams", {"w": np.zeros(2, dtype)})
    assert not list(tmp_path.iterdir())


def test_set_state_dict_takes_all_of_what_we_write(tmp_path, same_bits, vision) -> None:
    weights = {key: tensor.numpy() for key, tensor in vision.state_dict().items()}
    weight_port.write(tmp_path / "a.pth", weight_port.convert(weights, to="torchvision"))
    for to, model in (
        ("paddle.vision", paddle.vision.models.resnet18(num_classes=7)),
        ("paddle_impl", paddle_impl.resnet18(num_classes=7)),
    ):
        path = tmp_path / f"{to}.pdparams"
        weight_port.convert_file(tmp_path / "a.pth", path, to)
        assert model.set_state_dict(paddle.load(str(path))) == ([], [])
        loaded = {key: tensor.numpy() for key, tensor in model.state_dict().items()}
        same_bits(loaded, weight_port.convert(weights, to=to))


def test_the_name_table_holds_the_parameters_own_names(tmp_path, fake) -> None:
    weight_port.write(tmp_path / "a.pth", fake("torchvision", "resnet18"))
    weight_port.convert_file(tmp_path / "a.pth", tmp_path / "b.pdparams", "paddle_impl")
    weight_port.convert_file(tmp_path / "a.pth", tmp_path / "c.pdparams", "paddle.vision")
    ours = paddle.load(str(tmp_path / "b.pdparams"), keep_name_table=True)
    model = paddle_impl.resnet18(num_classes=7)
    assert ours[pdparams.NAME_TABLE] == {k: v.name for k, v in model.state_dict().items()}
    theirs = paddle.load(str(tmp_path / "c.pdparams"), keep_name_table=True)
    with paddle.utils.unique_name.guard():
        model = paddle.vision.models.resnet18(num_classes=7)
    assert theirs[pdparams.NAME_TABLE] == {k: v.name for k, v in model.state_dict().items()}


# -- one variable per file


@pytest.mark.parametrize("dtype", [*DTYPES, "bfloat16", "complex64", "complex128"])
@pytest.mark.parametrize("shape", [(1,), (5,), (300,), (2, 3, 4, 5)])
def test_records_both_ways(tmp_path, same_bits, dtype: str, shape: tuple[int, ...]) -> None:
    tensor = paddle.to_tensor(numbers(shape, "float32")).astype(dtype)
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    paddle.save(tensor, str(theirs / "w"), use_binary_format=True)
    read = weight_port.read(theirs)
    same_bits(read, {"w": to_numpy(tensor)})
    weight_port.write(ours, read)
    assert (ours / "w").read_bytes() == (theirs / "w").read_bytes()


@pytest.mark.parametrize("shape", [(4,), (256,), (0,), (), (1, 1)])
def test_a_record_byte_by_byte(tmp_path, shape: tuple[int, ...]) -> None:
    dims = {4: b"\x10\x04", 256: b"\x10\x80\x02", 0: b"\x10\x00", 1: b"\x10\x01"}
    desc = b"\x08\x05" + b"".join(dims[size] for size in shape)
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    by_hand = b"\0" * 12 + b"\0" * 4 + struct.pack("<i", len(desc)) + desc + array.tobytes()
    weight_port.write(tmp_path / "ours", {"w": array})
    assert (tmp_path / "ours" / "w").read_bytes() == by_hand
    if shape == (4,):
        assert len(by_hand) == 40
    read = weight_port.read(tmp_path / "ours")["w"]
    assert read.shape == shape
    np.testing.assert_array_equal(read, array)


def test_lod_levels_are_passed_over(tmp_path) -> None:
    array = np.arange(4, dtype=np.float32)
    levels = struct.pack("<Q", 2) + 2 * (struct.pack("<Q", 16) + struct.pack("<QQ", 0, 4))
    record = b"\0" * 4 + levels + b"\0" * 4 + struct.pack("<i", 4) + b"\x08\x05\x10\x04"
    (tmp_path / "w").write_bytes(record + array.tobytes())
    np.testing.assert_array_equal(weight_port.read(tmp_path)["w"], array)


def record(desc: bytes, data: bytes = b"", head: bytes = b"\0" * 16) -> bytes:
    return head + struct.pack("<i", len(desc)) + desc + data


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x01" + b"\0" * 40, "record version 1 instead of 0: not a Paddle variable file"),
        (b"\0" * 12 + b"\x07" + b"\0" * 30, "tensor version 7 instead of 0"),
        (b"<html><body>404</body></html>", "record version .* not a Paddle variable file"),
        (record(b"\x08\x05\x10\x04", b"\0" * 15), "shape .4. wants 16 bytes at 24, 15 are there"),
        (record(b"\x08\x05\x10\x04", b"\0" * 17), "1 bytes after the tensor: several variables"),
        (2 * record(b"\x08\x05\x10\x01", b"\0" * 4), "several variables in one file"),
        (record(b"\x08\x07\x10\x01", b"\0" * 4), "dtype code 7 is none of"),
        (record(b"\x10\x01", b"\0" * 4), "dtype code -1 is none of"),
        (record(b"\x08\x05\x1a\x01", b"\0" * 4), "field tag 26"),
        (record(b"\x08\x05\x10" + b"\xff" * 9, b""), "endless varint"),
        (record(b"\x08\x05" + b"\x10\x01" * 65, b"\0" * 4), "an endless shape"),
        (record(b"\x08\x05\x10\x00\x10" + b"\xff" * 9 + b"\x01"), "damaged tensor description"),
        (record(b"\x08\x05\x10" + b"\xff" * 9 + b"\x01"), "truncated or no Paddle variable file"),
        (b"\0" * 16 + struct.pack("<i", -1), "the description wants -1 bytes"),
        (b"\0" * 4 + b"\xff" * 8, "18446744073709551615 LoD levels"),
        (b"\0" * 4 + struct.pack("<QQ", 1, 2**63), "a LoD level wants 9223372036854775808 bytes"),
        (b"\0\0", "record version wants 4 bytes at 0, 2 are there"),
        (b"", "the file is empty"),
    ],
)
def test_a_damaged_record_is_an_error_that_says_where(tmp_path, content: bytes, said: str) -> None:
    (tmp_path / "conv1_weights").write_bytes(content)
    with pytest.raises(weight_port.FormatError, match=said) as raised:
        weight_port.read(tmp_path)
    assert str(raised.value).startswith(f"{tmp_path}/conv1_weights: ")


@pytest.mark.parametrize("dtype", ["uint32", "float128", ">f4"])
def test_a_dtype_without_a_code_is_refused_and_nothing_written(tmp_path, dtype: str) -> None:
    with pytest.raises(weight_port.DestinationError, match="w: Paddle has no code for dtype"):
        weight_port.write(tmp_path / "out", {"v": np.zeros(1), "w": np.zeros(2, dtype)})
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_an_error(tmp_path) -> None:
    with pytest.raises(weight_port.FormatError, match="an empty folder, no variable files"):
        weight_port.read(tmp_path)


def test_a_folder_of_777_files_needs_few_descriptors(tmp_path, fake) -> None:
    weight_port.write(tmp_path / "deep", fake("paddle1", "resnet152"))
    code = (
        "import resource, sys, weight_port;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256));"
        "print(len(weight_port.read(sys.argv[1])))"
    )
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 256
    command = [sys.executable, "-c", code, str(tmp_path / "deep")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("777", "")
