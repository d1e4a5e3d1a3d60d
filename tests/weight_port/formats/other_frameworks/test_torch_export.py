"""What ``torch.export.save`` writes, and wrote, and TorchScript's constants."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

import pytorch_impl
import weight_port
from weight_port.formats import files

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore:No complete tensor",
    "ignore:.torch.jit.+ is deprecated:FutureWarning",
)
Tensors = dict[str, np.ndarray]


class Module(torch.nn.Module):
    """With views of one storage, an odd dtype, and a buffer and a constant of no state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 3)
        self.turned = torch.nn.Parameter(torch.arange(12.0).reshape(3, 4).t())
        whole = torch.arange(20.0)
        self.register_buffer("part", whole[5:9])
        self.register_buffer("whole", whole)
        self.register_buffer("halves", torch.ones(3, dtype=torch.bfloat16))
        self.register_buffer("empty", torch.zeros(0, 3))
        self.register_buffer("lost", torch.ones(4), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = self.linear(x @ self.turned @ self.turned.t()) + torch.tensor([1.0, 2.0, 3.0])
        return seen + self.halves.float() + self.part.sum() + self.whole.sum() + self.lost.sum()


def state_of(module: torch.nn.Module) -> Tensors:
    tensors = {}
    for key, value in module.state_dict().items():
        half = value.dtype == torch.bfloat16
        array = value.view(torch.uint16).numpy() if half else value.numpy()
        tensors[key] = array.view(ml_dtypes.bfloat16) if half else array
    return tensors


def exported(module: torch.nn.Module, path: Path, *shape: int) -> Path:
    torch.export.save(torch.export.export(module.eval(), (torch.zeros(shape),)), path)
    return path


def test_every_kind_of_tensor(tmp_path, same_bits) -> None:
    module = Module()
    contents = files.open_checkpoint(exported(module, tmp_path / "x.pt2", 2, 4)).contents
    same_bits(contents.tensors, state_of(module))
    assert contents.notes == ("left out 2 constants and buffers that no state dict has",)


def test_a_network(tmp_path, same_bits) -> None:
    torch.manual_seed(0)
    model = pytorch_impl.resnet20(10)
    path = exported(model, tmp_path / "x.pt2", 1, 3, 32, 32)
    same_bits(weight_port.read(path), state_of(model))
    weight_port.convert_file(path, tmp_path / "x.pdparams", "paddle_impl")
    ours = dict(weight_port.convert(state_of(model), "paddle_impl"))
    same_bits(weight_port.read(tmp_path / "x.pdparams"), ours)
    # The archive, not the name, says what it is.
    path.rename(tmp_path / "x.zip")
    assert files.open_checkpoint(tmp_path / "x.zip").format.name == "pt2"


@pytest.mark.parametrize(
    ("member", "method"),
    [
        ("serialized_state_dict.pt", zipfile.ZIP_STORED),  # torch 2.1 to 2.7
        ("archive/data/weights/model.pt", zipfile.ZIP_STORED),  # torch 2.8
        ("archive/data/weights/model.pt", zipfile.ZIP_DEFLATED),
    ],
)
def test_the_layouts_of_before(tmp_path, same_bits, member: str, method: int) -> None:
    state = pytorch_impl.resnet20(10).state_dict()
    stream = io.BytesIO()
    torch.save(state, stream)
    with zipfile.ZipFile(tmp_path / "x.pt2", "w", method) as archive:
        archive.writestr("serialized_exported_program.json", "{}")
        archive.writestr(member, stream.getvalue())
        archive.writestr("version", "5.3")
    expected = {key: value.numpy() for key, value in state.items()}
    same_bits(weight_port.read(tmp_path / "x.pt2"), expected)


def test_a_checkpoint_of_torch_save_under_that_name(tmp_path, same_bits) -> None:
    torch.save({"w": torch.arange(6.0)}, tmp_path / "x.pt2")
    same_bits(weight_port.read(tmp_path / "x.pt2"), {"w": np.arange(6, dtype=np.float32)})


META = {
    "dtype": 7,
    "sizes": [{"as_int": 3}],
    "strides": [{"as_int": 1}],
    "storage_offset": {"as_int": 0},
    "layout": 7,
}


def archive(path: Path, entry: dict[str, Any], **members: str) -> Path:
    payload = {"path_name": "weight_0", "is_param": True, "use_pickle": False, **entry}
    config = {"config": {"w": {"tensor_meta": META, **payload}}}
    with zipfile.ZipFile(path, "w") as written:
        written.writestr("x/data/weights/weight_0", bytes(12))
        written.writestr("x/data/weights/model_weights_config.json", json.dumps(config))
        for name, text in members.items():
            written.writestr(f"x/{name}", text)
    return path


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"tensor_meta": {**META, "sizes": [{"as_int": 4}]}}, "'w': element 3 of 3"),
        ({"tensor_meta": {**META, "storage_offset": {"as_int": 1}}}, "'w': element 3 of 3"),
        ({"tensor_meta": {**META, "strides": [{"as_int": 2}]}}, "'w': element 4 of 3"),
        ({"tensor_meta": {**META, "strides": [{"as_int": -1}]}}, "negative sizes"),
        ({"tensor_meta": {**META, "sizes": [{"as_int": "3"}]}}, "other than whole numbers"),
        ({"tensor_meta": {**META, "sizes": [{"as_name": "s0"}]}}, "damaged torch.export archive"),
        ({"tensor_meta": {**META, "dtype": 29}}, "dtype 29 or layout, not read"),
        ({"tensor_meta": {**META, "layout": 1}}, "or layout, not read"),
        ({"use_pickle": True}, "'w' is an object of a class, not a plain tensor"),
        ({"path_name": "../weight_1"}, "damaged torch.export archive"),
    ],
)
def test_what_a_configuration_must_not_say(tmp_path, entry, said: str) -> None:
    with pytest.raises(weight_port.FormatError, match=said):
        weight_port.read(archive(tmp_path / "x.pt2", entry))


def test_archives_of_other_things(tmp_path, same_bits) -> None:
    sound = archive(tmp_path / "x.pt2", {}, byteorder="little")
    same_bits(weight_port.read(sound), {"w": np.zeros(3, np.float32)})
    with pytest.raises(weight_port.FormatError, match="a big-endian machine"):
        weight_port.read(archive(tmp_path / "x.pt2", {}, byteorder="big"))
    two = {"data/weights/second_weights_config.json": "{}"}
    with pytest.raises(weight_port.FormatError, match="holds several models"):
        weight_port.read(archive(tmp_path / "x.pt2", {}, **two))
    with zipfile.ZipFile(tmp_path / "x.pt2", "w") as written:
        written.writestr("x/data/aotinductor/model/x.so", b"")
    with pytest.raises(weight_port.FormatError, match="without weights in it"):
        weight_port.read(tmp_path / "x.pt2")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_torchscript_with_constants_and_frozen(tmp_path, same_bits) -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).eval()
    traced = torch.jit.trace(module, torch.zeros(1, 3, 8, 8))
    traced.save(tmp_path / "x.pt")
    same_bits(weight_port.read(tmp_path / "x.pt"), state_of(module))
    torch.jit.freeze(traced, optimize_numerics=False).save(tmp_path / "frozen.pt")
    contents = files.open_checkpoint(tmp_path / "frozen.pt").contents
    # Equal ones are one constant: here the zeros and the ones of a fresh batch norm.
    expected = {a.tobytes() for key, a in state_of(module).items() if "num_batches" not in key}
    assert {array.tobytes() for array in contents.tensors.values()} == expected
    assert set(contents.tensors) == {f"CONSTANTS.c{n}" for n in range(len(expected))}
    assert contents.notes[0].startswith("a frozen TorchScript module, whose tensors have no names")
