"""ONNX models, against what the package onnx reads and what torch's exporters write."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import pytorch_impl
import weight_port
from weight_port.formats import files
from weight_port.formats.other_frameworks.onnx import DTYPES

RANDOM = np.random.default_rng(3)


def saved(path: Path, *initializers: TensorProto, nodes=()) -> Path:
    graph = helper.make_graph(list(nodes), "g", [], [], list(initializers))
    path.write_bytes(helper.make_model(graph, producer_name="test").SerializeToString())
    return path


def numbers(code: int, shape: tuple[int, ...] = (3, 4)) -> np.ndarray:
    """Numbers of a data type, some negative where it has such."""
    name = DTYPES[code]
    drawn = RANDOM.normal(0, 100, shape)
    if name == "bool":
        return drawn > 0
    unsigned = np.abs(drawn) if name.startswith("uint") else drawn
    return unsigned.astype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
@pytest.mark.parametrize("code", DTYPES, ids=DTYPES.values())
def test_every_data_type_in_both_forms(tmp_path, same_bits, code: int, raw: bool) -> None:
    array = numbers(code)
    values = array.tobytes() if raw else array.flatten()
    proto = helper.make_tensor("w", code, array.shape, values, raw=raw)
    assert bool(proto.raw_data) == raw
    path = saved(tmp_path / "x.onnx", proto)
    theirs = numpy_helper.to_array(onnx.load(path).graph.initializer[0])
    assert array.tobytes() == theirs.tobytes()
    same_bits(weight_port.read(path), {"w": array})


def test_many_typed_integers(tmp_path, same_bits) -> None:
    """More than are decoded at a time, from one byte to ten."""
    array = (RANDOM.normal(0, 1, 300_000) * 2.0 ** RANDOM.integers(0, 60, 300_000)).astype(np.int64)
    path = saved(tmp_path / "x.onnx", helper.make_tensor("w", 7, array.shape, array))
    same_bits(weight_port.read(path), {"w": array})


def test_a_constant_and_what_an_identity_hands_on(tmp_path, same_bits) -> None:
    weight, axes = numbers(1), np.array([0, 1])
    nodes = [
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(weight)),
        helper.make_node("Constant", [], ["axes"], value=numpy_helper.from_array(axes)),
        helper.make_node("Constant", [], ["eps"], value=numpy_helper.from_array(weight[0, 0])),
        helper.make_node("Identity", ["w"], ["layer.same"]),
        helper.make_node("Identity", ["elsewhere"], ["x"]),
    ]
    path = saved(tmp_path / "x.onnx", numpy_helper.from_array(weight, "w"), nodes=nodes)
    contents = files.open_checkpoint(path).contents
    same_bits(contents.tensors, {"w": weight, "c": weight, "layer.same": weight})
    assert contents.notes == (
        "left out 2 constants that are no weights (shapes, axes, one number)",
    )


def external(path: Path, location: str) -> Path:
    """A model with two tensors in a file beside it, as ``onnx.save_model`` writes it."""
    arrays = {"a": numbers(1), "b": numbers(11)}
    graph = helper.make_graph(
        [], "g", [], [], [numpy_helper.from_array(a, n) for n, a in arrays.items()]
    )
    model = helper.make_model(graph)
    onnx.save_model(model, path, save_as_external_data=True, location="w.data", size_threshold=0)
    path.write_bytes(path.read_bytes().replace(b"\x06w.data", _text(location)))
    return path


def _text(location: str) -> bytes:
    """A text of the same length: other lengths would change the messages around it."""
    assert len(location) == len("w.data")
    return bytes([len(location)]) + location.encode()


def test_data_beside_the_model(tmp_path, same_bits) -> None:
    path = external(tmp_path / "x.onnx", "w.data")
    theirs = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    same_bits(weight_port.read(path), theirs)
    assert files.open_checkpoint(path).contents.notes == ("weights in w.data beside it",)
    data = tmp_path / "w.data"
    data.write_bytes(data.read_bytes()[:-8])
    with pytest.raises(weight_port.FormatError, match=r"'b' is 96 bytes from byte .* truncated"):
        weight_port.read(path)
    data.rename(tmp_path / "other")
    with pytest.raises(weight_port.FormatError, match=r"'w\.data', which is no plain file beside"):
        weight_port.read(path)
    data.symlink_to("other")
    with pytest.raises(weight_port.FormatError, match="links are not followed"):
        weight_port.read(path)


@pytest.mark.parametrize("location", ["../w.d", "/w.dat", "a/.dat", "a\\.dat", "C:w.da", "w\0data"])
def test_data_outside_of_the_models_folder_is_not_read(tmp_path, location: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    path = external(folder / "x.onnx", location)
    for place in (tmp_path / "w.d", folder / "a"):
        place.write_bytes(bytes(1000))
    with pytest.raises(weight_port.FormatError, match="outside of its folder; not read"):
        weight_port.read(path)


def network(path: Path, **options: object) -> pytorch_impl.ResNet:
    torch.manual_seed(0)
    model = pytorch_impl.resnet20(10).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    torch.onnx.export(model, (torch.zeros(1, 3, 32, 32),), path, verbose=False, **options)
    return model


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    "options",
    [
        {"dynamo": True, "optimize": False},
        {"dynamo": True, "optimize": False, "external_data": False},
        {
            "dynamo": False,
            "training": torch.onnx.TrainingMode.PRESERVE,
            "do_constant_folding": False,
        },
    ],
    ids=["dynamo", "one file", "torchscript"],
)
def test_what_torch_exports_with_its_names(tmp_path, same_bits, options) -> None:
    path = tmp_path / "x.onnx"
    model = network(path, **options)
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    named = {key: array for key, array in state.items() if "num_batches" not in key}
    same_bits(weight_port.read(path), named)
    ours = dict(weight_port.convert(weight_port.read(path), "paddle_impl"))
    same_bits(ours, dict(weight_port.convert(state, "paddle_impl")))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("dynamo", [True, False])
def test_a_folded_batch_norm_is_said(tmp_path, dynamo: bool) -> None:
    path = tmp_path / "x.onnx"
    model = network(path, dynamo=dynamo)
    contents = files.open_checkpoint(path).contents
    convolutions = sum(isinstance(m, torch.nn.Conv2d) for m in model.modules())
    assert any(
        note.startswith(f"{convolutions} convolutions and no batch norm: it was folded")
        for note in contents.notes
    )
    numbered = any("have a number instead of a name (onnx::" in note for note in contents.notes)
    assert numbered is not dynamo
    with pytest.raises(weight_port.DialectError):
        weight_port.recognise(path)


@pytest.mark.parametrize(
    ("proto", "said"),
    [
        (
            TensorProto(name="w", dims=[3], data_type=1, raw_data=bytes(8)),
            r"shape \[3\] of float32",
        ),
        (TensorProto(name="w", dims=[-1], data_type=1, raw_data=bytes(8)), "damaged ONNX model"),
        (TensorProto(name="w", dims=[1], data_type=17, raw_data=bytes(1)), "of data type 17"),
        (TensorProto(name="w", dims=[1], data_type=8, string_data=[b"x"]), "of data type 8"),
        (TensorProto(name="w", dims=[40] * 40, data_type=1, raw_data=bytes(8)), "endless shape"),
    ],
)
def test_damaged_tensors(tmp_path, proto: TensorProto, said: str) -> None:
    with pytest.raises(weight_port.FormatError, match=said):
        weight_port.read(saved(tmp_path / "x.onnx", proto))


def test_what_is_no_model(tmp_path) -> None:
    path = saved(tmp_path / "x.onnx")
    with pytest.raises(weight_port.FormatError, match="without initializers"):
        weight_port.read(path)
    weight = numpy_helper.from_array(numbers(1), "w")
    with pytest.raises(weight_port.FormatError, match="two tensors are called 'w'"):
        weight_port.read(saved(path, weight, weight))
    whole = saved(path, weight).read_bytes()
    for length in (len(whole) // 2, len(whole) - 1, 12):
        path.write_bytes(whole[:length])
        with pytest.raises(weight_port.FormatError, match=r"x\.onnx: "):
            weight_port.read(path)
