"""``.safetensors``, against the safetensors package, Paddle's writer and bytes made by hand."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import paddle
import pytest
import safetensors.numpy
import safetensors.torch
import torch
import torchvision

import weight_port
from weight_port.conversion import certificate
from weight_port.formats import safetensors as safetensors_file
from weight_port.storage import buffers

SHAPES = [(), (1,), (0,), (3, 0, 2), (5,), (2, 3, 4, 5)]
DTYPES = [buffers.dtype_called(name) for name in safetensors_file.DTYPES.values()]


def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        f"{dtype} {shape}": np.asarray(random.uniform(0, 100, shape)).astype(dtype)
        for dtype in DTYPES
        for shape in SHAPES
    }


def load_with_package(path: Path) -> dict[str, np.ndarray]:
    return safetensors.numpy.load_file(path)


def test_read_what_the_package_wrote(tmp_path, same_bits) -> None:
    safetensors.numpy.save_file(arrays(), tmp_path / "theirs.safetensors", {"who": "they"})
    same_bits(weight_port.read(tmp_path / "theirs.safetensors"), arrays())
    metadata = safetensors_file.read_metadata(tmp_path / "theirs.safetensors")
    assert metadata == {"who": "they"}


def test_the_package_reads_what_we_wrote(tmp_path, same_bits) -> None:
    path = tmp_path / "ours.safetensors"
    weight_port.write(path, arrays(), metadata={"who": "we"})
    same_bits(load_with_package(path), arrays())
    with safetensors.safe_open(path, framework="numpy") as opened:
        assert opened.metadata() == {"who": "we"}
    same_bits(weight_port.read(path), arrays())


def test_without_metadata_there_is_none(tmp_path) -> None:
    weight_port.write(tmp_path / "x.safetensors", {"w": np.zeros(3)})
    assert safetensors_file.read_metadata(tmp_path / "x.safetensors") == {}


def test_arrays_that_are_not_contiguous(tmp_path, same_bits) -> None:
    base = np.arange(24.0).reshape(2, 3, 4)
    views = {"t": base.T, "slice": base[:, ::2, 1:3], "spread": np.broadcast_to(base[0], (5, 3, 4))}
    weight_port.write(tmp_path / "x.safetensors", views)
    same_bits(load_with_package(tmp_path / "x.safetensors"), views)


def test_data_is_aligned_to_its_dtype(tmp_path) -> None:
    mixed = {"a": np.zeros(3, np.int8), "b": np.zeros(3), "c": np.zeros(5, np.float16)}
    weight_port.write(tmp_path / "x.safetensors", mixed)
    read = weight_port.read(tmp_path / "x.safetensors")
    assert all(array.flags.aligned for array in read.values())


def test_a_real_model_from_torch_to_paddle(tmp_path, same_bits) -> None:
    torch.manual_seed(0)
    model = torchvision.models.resnet50(num_classes=7)
    safetensors.torch.save_file(model.state_dict(), tmp_path / "torch.safetensors")
    weight_port.convert_file(
        tmp_path / "torch.safetensors", tmp_path / "paddle.safetensors", "paddle.vision"
    )
    loaded = paddle.load(str(tmp_path / "paddle.safetensors"), safetensors=True)
    mirror = paddle.vision.models.resnet50(num_classes=7)
    assert mirror.set_state_dict(loaded) == ([], [])
    for ours, theirs in (("conv1.weight",) * 2, ("layer3.5.bn2._variance",) * 2):
        key = theirs.replace("_variance", "running_var")
        np.testing.assert_array_equal(mirror.state_dict()[ours].numpy(), model.state_dict()[key])
    fc = mirror.state_dict()["fc.weight"].numpy()
    np.testing.assert_array_equal(fc, model.fc.weight.detach().numpy().T)
    metadata = safetensors_file.read_metadata(tmp_path / "paddle.safetensors")
    source = (tmp_path / "torch.safetensors").read_bytes()
    assert metadata == {
        "format": "pd",
        "dialect": "paddle.vision",
        "architecture": "resnet50",
        "source": "torch.safetensors",
        "source_sha256": hashlib.sha256(source).hexdigest(),
        "source_dialect": "torchvision",
        "rules_sha256": certificate.rules(),
        "made_by": f"resnet-parity {weight_port.__version__}",
        "undecided": "resnet50_v1, resnet50_caffe, resnet50_keras, dilated, "
        "last stage of stride 1, blurred",
    }


def test_read_what_paddle_wrote(tmp_path, same_bits) -> None:
    state = paddle.vision.models.resnet18(num_classes=7).state_dict()
    paddle.save(state, str(tmp_path / "theirs.safetensors"), safetensors=True)
    read = weight_port.read(tmp_path / "theirs.safetensors")
    same_bits(read, {key: tensor.numpy() for key, tensor in state.items()})


def by_hand(header: object, data: bytes = b"\0" * 8) -> bytes:
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


def entry(**changes: object) -> dict[str, object]:
    return {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}


def test_the_entry_that_the_faults_change_is_sound(tmp_path) -> None:
    (tmp_path / "x.safetensors").write_bytes(by_hand(entry()))
    assert weight_port.read(tmp_path / "x.safetensors")["w"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\0\0\0\0\0\0\0\0{", "its header is no JSON"),
        (struct.pack("<Q", 100) + b"{}", "header would take 100 bytes of 10: truncated"),
        (struct.pack("<Q", 2**63) + b"{" * 40, "header would take 9223372036854775808 bytes"),
        (by_hand(b"{" + b" " * 40), "its header is no JSON"),
        (by_hand(b'{"w":' * 100_000), "its header is no JSON"),
        (by_hand(b"{\xff\xfe" + b" " * 40), "its header is no JSON"),
        (by_hand({"w": 5}), "damaged entry of tensor 'w'"),
        (by_hand({"w": {}}), "damaged entry of tensor 'w': 'data_offsets'"),
        (by_hand(entry(dtype="F8_E4M3")), "dtype 'F8_E4M3' is none of F64, F32"),
        (by_hand(entry(dtype=["F32"])), "damaged entry of tensor 'w'"),
        (by_hand(entry(shape=[3])), "shape .3. of float32 in 8 bytes"),
        (by_hand(entry(shape=[-2])), "a shape of other than whole numbers"),
        (by_hand(entry(shape=[2.0])), "a shape of other than whole numbers"),
        (by_hand(entry(shape="2")), "a shape of other than whole numbers"),
        (by_hand(entry(shape=5)), "damaged entry of tensor 'w'"),
        (by_hand(entry(shape=[1] * 64 + [2])), "a shape of 65 dimensions"),
        (by_hand(entry(shape=[0, 2**70], data_offsets=[0, 0])), "damaged entry of tensor 'w'"),
        (by_hand(entry(data_offsets=[0, 16], shape=[4])), "ends at byte 16 of 8: truncated"),
        (by_hand(entry(data_offsets=[-8, 0])), "offsets of other than whole numbers"),
        (by_hand(entry(data_offsets=[8, 0])), "offsets of other than whole numbers"),
        (by_hand(entry(data_offsets=[0.0, 8.0])), "offsets of other than whole numbers"),
        (by_hand(entry(data_offsets=[0])), "damaged entry of tensor 'w'"),
    ],
)
def test_a_damaged_file_is_an_error_that_says_where(tmp_path, content: bytes, said: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(weight_port.FormatError, match=said) as raised:
        weight_port.read(path)
    assert str(raised.value).startswith(f"{path}: ")


@pytest.mark.parametrize("dtype", ["complex128", ">f4", "float128", ml_dtypes.int4])
def test_a_dtype_without_a_name_is_refused_and_nothing_written(tmp_path, dtype) -> None:
    with pytest.raises(weight_port.DestinationError, match="w: safetensors has no dtype"):
        weight_port.write(tmp_path / "x.safetensors", {"v": np.zeros(1), "w": np.zeros(2, dtype)})
    assert not list(tmp_path.iterdir())
