"""Caffe's models, written by a message class of protobuf's own from Caffe's fields.

The fields are those of caffe.proto (BVLC) that hold weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import weight_port

RANDOM = np.random.default_rng(4)
_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
    "float": _FIELD.TYPE_FLOAT,
    "double": _FIELD.TYPE_DOUBLE,
    "string": _FIELD.TYPE_STRING,
    "bytes": _FIELD.TYPE_BYTES,
}
# message -> field: (number, type, label); "*" is repeated and packed, "+" repeated.
_PROTO = {
    "BlobShape": {"dim": (1, "int64", "*")},
    "BlobProto": {
        "num": (1, "int32", ""),
        "channels": (2, "int32", ""),
        "height": (3, "int32", ""),
        "width": (4, "int32", ""),
        "data": (5, "float", "*"),
        "diff": (6, "float", "*"),
        "shape": (7, "BlobShape", ""),
        "double_data": (8, "double", "*"),
        "raw_data": (12, "bytes", ""),  # NVIDIA's
    },
    "LayerParameter": {
        "name": (1, "string", ""),
        "type": (2, "string", ""),
        "bottom": (3, "string", "+"),
        "blobs": (7, "BlobProto", "+"),
    },
    "V0LayerParameter": {
        "name": (1, "string", ""),
        "type": (2, "string", ""),
        "num_output": (3, "int32", ""),
        "blobs": (50, "BlobProto", "+"),
    },
    "V1LayerParameter": {
        "layer": (1, "V0LayerParameter", ""),
        "bottom": (2, "string", "+"),
        "name": (4, "string", ""),
        "type": (5, "int32", ""),  # an enumeration, the same on the wire
        "blobs": (6, "BlobProto", "+"),
    },
    "NetParameter": {
        "name": (1, "string", ""),
        "layers": (2, "V1LayerParameter", "+"),
        "input": (3, "string", "+"),
        "layer": (100, "LayerParameter", "+"),
    },
}


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    for name, fields in _PROTO.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, label) in fields.items():
            entry = message.field.add(name=field, number=number)
            entry.label = _FIELD.LABEL_REPEATED if label else _FIELD.LABEL_OPTIONAL
            entry.type = _TYPES.get(kind, _FIELD.TYPE_MESSAGE)
            entry.options.packed = label == "*"
            if kind not in _TYPES:
                entry.type_name = f".caffe.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}"))
        for name in _PROTO
    }


CAFFE = _classes()
Blobs = dict[str, list[np.ndarray]]


def blob(array: np.ndarray, old: bool = False) -> Any:
    proto = CAFFE["BlobProto"]()
    if old:
        sizes = (1,) * (4 - array.ndim) + array.shape
        proto.num, proto.channels, proto.height, proto.width = sizes
    else:
        proto.shape.dim.extend(array.shape)
    values = array.flatten().tolist()
    (proto.double_data if array.dtype == np.float64 else proto.data).extend(values)
    return proto


def saved(path: Path, layers: list[tuple[str, str, list[np.ndarray]]], kind: str = "layer") -> Path:
    """A net of (name, type, blobs), with layers of a kind, one without weights before them."""
    net = CAFFE["NetParameter"](name="net", input=["data"])
    for name, of_type, arrays in [("data", "Data", []), *layers]:
        if kind == "layer":
            net.layer.add(name=name, type=of_type, bottom=["x"], blobs=[blob(a) for a in arrays])
        elif kind == "v1":
            numbers = {"Convolution": 4, "InnerProduct": 14}
            net.layers.add(
                name=name, type=numbers.get(of_type, 0), blobs=[blob(a, old=True) for a in arrays]
            )
        else:
            names = {"Convolution": "conv", "InnerProduct": "innerproduct"}
            layer = net.layers.add(bottom=["x"])
            layer.layer.name, layer.layer.type = name, names.get(of_type, "data")
            layer.layer.blobs.extend(blob(a, old=True) for a in arrays)
    path.write_bytes(net.SerializeToString())
    return path


def drawn(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return RANDOM.normal(0, 1, shape).astype(dtype)


def layers(dtype: type = np.float32) -> list[tuple[str, str, list[np.ndarray]]]:
    return [
        ("conv1", "Convolution", [drawn(1, 1, 3, 3, dtype=dtype), drawn(1, dtype=dtype)]),
        ("conv2/1x1", "Convolution", [drawn(4, 2, 3, 3, dtype=dtype), drawn(4, dtype=dtype)]),
        ("fc", "InnerProduct", [drawn(5, 16, dtype=dtype), drawn(5, dtype=dtype)]),
        ("row", "InnerProduct", [drawn(1, 16, dtype=dtype), drawn(1, dtype=dtype)]),
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["layer", "v1", "v0"])
def test_layers_old_and_new(tmp_path, same_bits, kind: str, dtype: type) -> None:
    net = layers(dtype)
    path = saved(tmp_path / "x.caffemodel", net, kind)
    expected = {f"{name}/{n}": a for name, _, arrays in net for n, a in enumerate(arrays)}
    same_bits(weight_port.read(path), expected)


@pytest.fixture
def resnet50(tmp_path, fake) -> tuple[Path, dict[str, np.ndarray]]:
    tensors = fake("caffe", "resnet50_caffe")
    names = list(dict.fromkeys(key.rpartition("/")[0] for key in tensors))
    types = {"bn": "BatchNorm", "sc": "Scale", "fc": "InnerProduct"}
    net = [
        (name, types.get(name[:2], "Convolution"),
         [tensors[f"{name}/{n}"] for n in range(3) if f"{name}/{n}" in tensors])
        for name in names
    ]  # fmt: skip
    return saved(tmp_path / "ResNet-50-model.caffemodel", net), tensors


def test_a_resnet50_in_caffes_form(resnet50, same_bits) -> None:
    path, tensors = resnet50
    same_bits(weight_port.read(path), tensors)
    detection = weight_port.recognise(path).detection
    assert (detection.dialect, detection.architecture) == ("caffe", "resnet50_caffe")


def test_the_batch_norms_factor_is_applied(resnet50, tmp_path) -> None:
    """Blob 2 counts what the sums of mean and variance are of (batch_norm_layer.cpp)."""
    path, tensors = resnet50
    plain = weight_port.convert(tensors, "paddle1", fold=True)
    scaled = dict(tensors)
    for key in ("bn_conv1/0", "bn_conv1/1", "bn_conv1/2"):
        scaled[key] = np.asarray(tensors[key] * np.float32(4))
    ours = dict(weight_port.convert(scaled, "paddle1", fold=True))
    assert np.array_equal(ours["bn_conv1_mean"], plain["bn_conv1_mean"])
    assert np.array_equal(ours["bn_conv1_variance"], plain["bn_conv1_variance"])
    weight_port.convert_file(path, tmp_path / "x.pdparams", "paddle_impl", fold=True)
    mine = weight_port.convert(tensors, "paddle_impl", fold=True)
    written = weight_port.read(tmp_path / "x.pdparams")
    assert all(np.array_equal(written[key], array) for key, array in mine.items())


def test_numbers_that_are_not_packed(tmp_path, same_bits) -> None:
    """As a writer of proto2 without the option does."""
    array = drawn(2, 3)
    numbers = b"".join(b"\x2d" + value.tobytes() for value in array.flatten())
    shape = b"\x3a\x04\x08\x02\x08\x03"
    layer = b"\x0a\x01w" + b"\x3a" + bytes([len(shape + numbers)]) + shape + numbers
    path = tmp_path / "x.caffemodel"
    path.write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    same_bits(weight_port.read(path), {"w/0": array})


def test_what_is_damaged(tmp_path) -> None:
    path = saved(tmp_path / "x.caffemodel", layers())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(weight_port.FormatError, match=r"damaged Caffe model: .* truncated"):
        weight_port.read(path)
    saved(path, [])
    with pytest.raises(weight_port.FormatError, match="no layer in it has weights"):
        weight_port.read(path)
    saved(path, [*layers(), layers()[0]])
    with pytest.raises(weight_port.FormatError, match="two layers are called 'conv1'"):
        weight_port.read(path)
    net = CAFFE["NetParameter"].FromString(saved(path, layers()).read_bytes())
    net.layer[1].blobs[0].shape.dim[0] = 2
    path.write_bytes(net.SerializeToString())
    with pytest.raises(
        weight_port.FormatError, match=r"'conv1/0': 36 bytes for shape \[2, 1, 3, 3"
    ):
        weight_port.read(path)
    net.layer[1].blobs[0].Clear()
    net.layer[1].blobs[0].raw_data = b"12"
    path.write_bytes(net.SerializeToString())
    with pytest.raises(weight_port.FormatError, match="in a field of another Caffe"):
        weight_port.read(path)
