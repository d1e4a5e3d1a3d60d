"""Combined parameter files and programs, against those that Paddle wrote."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

import weight_port
from weight_port import arch
from weight_port.dialects import classic_names, paddle_variables
from weight_port.dialects import keys as dialects
from weight_port.formats import files, paddle1, paddle_program
from weight_port.storage import protobuf

# Exports one ResNet and one net with every kind of product, and what Paddle has in them.
STATIC = """
import sys, numpy as np, paddle
from paddle import static
from paddle.static import nn
paddle.enable_static()
out = sys.argv[1]
main, startup = static.Program(), static.Program()
with static.program_guard(main, startup):
    x = static.data("x", [None, 3, 8, 8])
    y = nn.batch_norm(nn.conv2d(x, 4, 3, param_attr="zconv"), is_test=True)
    y = nn.fc(nn.fc(y, 6), 6)
    block = main.global_block()
    for turned, how in ((True, "tied"), (False, "plain"), (False, "shared")):
        w = paddle.create_parameter([6, 6], "float32", name=how)
        z = block.create_var(name=f"out_{how}", dtype="float32", shape=[-1, 6])
        block.append_op(type="matmul_v2", inputs={"X": [y], "Y": [w]}, outputs={"Out": [z]},
                        attrs={"trans_x": False, "trans_y": turned})
        y = z
    z = block.create_var(name="out_scaled", dtype="float32", shape=[6, 6])
    block.append_op(type="scale", inputs={"X": [block.var("shared")]}, outputs={"Out": [z]},
                    attrs={"scale": 2.0})
executor = static.Executor(paddle.CPUPlace())
executor.run(startup)
names = [v.name for v in main.list_vars() if static.io.is_persistable(v)]
arrays = {n: np.asarray(static.global_scope().find_var(n).get_tensor()) for n in names}
np.savez(out + ".npz", **arrays)
static.save_inference_model(out, [x], [y, z], executor, program=main)
"""
JIT = """
import sys, numpy as np, paddle
out = sys.argv[1]
model = paddle.vision.models.resnet18(num_classes=7)
model.eval()
for i, (key, tensor) in enumerate(model.state_dict().items()):
    tensor.set_value(np.random.default_rng(i).uniform(0.5, 2, tensor.shape).astype("float32"))
np.savez(out + ".npz", **{t.name: t.numpy() for t in model.state_dict().values()})
np.savez(out + "_keys.npz", **{k: t.numpy() for k, t in model.state_dict().items()})
spec = [paddle.static.InputSpec([None, 3, 64, 64], "float32")]
paddle.jit.save(model, out, input_spec=spec)
"""


def export(code: str, out: Path, pir: bool) -> None:
    """Run a program of Paddle's own in a process with or without PIR."""
    environment = {**os.environ, "FLAGS_enable_pir_api": str(int(pir)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", code, str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def static(tmp_path_factory) -> Path:
    """x.pdmodel, x.pdiparams and, from Paddle's own scope, x.npz."""
    folder = tmp_path_factory.mktemp("static")
    export(STATIC, folder / "x", pir=False)
    return folder


@pytest.fixture(scope="module")
def jit(tmp_path_factory) -> Path:
    """x.json (PIR), x.pdiparams and Paddle's own arrays by variable and by key."""
    folder = tmp_path_factory.mktemp("jit")
    export(JIT, folder / "x", pir=True)
    return folder


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as archive:
        return dict(archive)


# -- names from the program


def test_a_static_model_named_from_its_pdmodel(static, same_bits) -> None:
    read = weight_port.read(static / "x.pdiparams")
    same_bits(read, arrays(static / "x.npz"))
    assert list(read) == sorted(read)
    assert files.open_checkpoint(static / "x.pdiparams").contents.notes == ("names from x.pdmodel",)


def test_what_a_program_uses_as_linear_weights(static) -> None:
    contents = files.open_checkpoint(static / "x.pdiparams").contents
    # Not "tied", which is [out, in] already, and not "shared", which is scaled too.
    assert contents.linear == {"fc_0.w_0", "fc_1.w_0", "plain"}
    assert contents.tensors["zconv"].ndim == 4


def test_a_pir_model_named_from_its_json(jit, same_bits) -> None:
    checkpoint = files.open_checkpoint(jit / "x.pdiparams")
    same_bits(checkpoint.contents.tensors, arrays(jit / "x.npz"))
    assert checkpoint.contents.notes == ("names from x.json",)
    assert checkpoint.contents.linear == {"linear_0.w_0"}


def test_a_pir_model_is_converted_by_what_its_numbered_names_mean(jit, tmp_path, same_bits) -> None:
    weight_port.convert_file(jit / "x.pdiparams", tmp_path / "x.pdparams", "paddle.vision")
    same_bits(weight_port.read(tmp_path / "x.pdparams"), arrays(jit / "x_keys.npz"))


def test_writing_gives_the_bytes_that_paddle_wrote(jit, static, tmp_path) -> None:
    for folder in (jit, static):
        theirs = (folder / "x.pdiparams").read_bytes()
        shuffled = dict(reversed(weight_port.read(folder / "x.pdiparams").items()))
        weight_port.write(tmp_path / f"{folder.name}.pdiparams", shuffled)
        assert (tmp_path / f"{folder.name}.pdiparams").read_bytes() == theirs
    weight_port.write(tmp_path / "keys.npz", arrays(jit / "x_keys.npz"))
    weight_port.convert_file(tmp_path / "keys.npz", tmp_path / "y.pdiparams", "paddle.vision")
    assert (tmp_path / "y.pdiparams").read_bytes() == (jit / "x.pdiparams").read_bytes()


@pytest.mark.parametrize("to", ["torchvision", "pytorch_impl"])
def test_a_combined_file_is_refused_to_dialects_without_variables(tmp_path, fake, to) -> None:
    weight_port.write(tmp_path / "a.pth", fake("torchvision", "resnet18"))
    with pytest.raises(weight_port.DestinationError, match="--to paddle1 or paddle_impl or"):
        weight_port.convert_file(tmp_path / "a.pth", tmp_path / "a.pdiparams", to)
    assert [file.name for file in tmp_path.iterdir()] == ["a.pth"]


def test_the_program_of_another_model_is_an_error(static, jit, tmp_path) -> None:
    shutil.copy(static / "x.pdmodel", tmp_path / "x.pdmodel")
    shutil.copy(jit / "x.pdiparams", tmp_path / "x.pdiparams")
    with pytest.raises(weight_port.FormatError, match=r"not the weights of x\.pdmodel beside it"):
        weight_port.read(tmp_path / "x.pdiparams")


def test_one_shape_that_differs_is_an_error(static, tmp_path) -> None:
    shutil.copy(static / "x.pdmodel", tmp_path / "x.pdmodel")
    tensors = weight_port.read(static / "x.pdiparams")
    tensors["zconv"] = tensors["zconv"][:, :, :2]
    weight_port.write(tmp_path / "x.pdiparams", tensors)
    with pytest.raises(
        weight_port.FormatError, match=re.escape("zconv is [4, 3, 2, 3] in the file")
    ):
        weight_port.read(tmp_path / "x.pdiparams")


@pytest.mark.parametrize("name", ["x.pdmodel", "x.json"])
def test_every_truncation_of_a_program_is_our_error(static, jit, name: str) -> None:
    data = memoryview(((static if name == "x.pdmodel" else jit) / name).read_bytes())
    refused = []
    for end in range(0, len(data) - 1, max(1, len(data) // 300)):
        with contextlib.suppress(weight_port.FormatError):
            paddle_program.read_program(data[:end], name)
            continue
        refused.append(end)
    # A cut between two fields of a .pdmodel's end leaves a whole message; JSON has no such place.
    assert len(refused) >= (290 if name == "x.pdmodel" else 300)


@pytest.mark.parametrize(
    "content", [b"{}", b"[" * 100_000, b'{"base_code": {"magic": "x"}}', b"\xff"]
)
def test_what_is_no_program_is_our_error(content: bytes) -> None:
    with pytest.raises(weight_port.FormatError, match="p: not a Paddle program"):
        paddle_program.read_program(memoryview(content), "p")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"\x0a\x05abc", "a field of 5 bytes where 3 are left"),
        (b"\x0b", "wire type 3"),
        (b"\x08" + b"\xff" * 11, "endless varint"),
        (b"\x09abc", "a field of 8 bytes where 3 are left"),
    ],
)
def test_a_damaged_message_is_an_error(message: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        list(protobuf.fields(memoryview(message)))


# -- the table of names that Paddle 2 left beside the file


def info(names: dict[str, str]) -> bytes:
    table = {
        name: {"structured_name": key, "stop_gradient": False, "trainable": True}
        for name, key in names.items()
    }
    return pickle.dumps(table, protocol=2)


def test_structured_names_beside_the_file(jit, tmp_path, same_bits) -> None:
    keys = paddle_variables.vision_names("resnet18", 7)
    for name in ("x.json", "x.pdiparams"):
        shutil.copy(jit / name, tmp_path / name)
    table = info({variable: key for key, variable in keys.items()})
    (tmp_path / "x.pdiparams.info").write_bytes(table)
    contents = files.open_checkpoint(tmp_path / "x.pdiparams").contents
    assert contents.structured == {variable: key for key, variable in keys.items()}
    weight_port.convert_file(tmp_path / "x.pdiparams", tmp_path / "y.npz", "paddle.vision")
    same_bits(weight_port.read(tmp_path / "y.npz"), arrays(jit / "x_keys.npz"))
    # A table with two variables under one key names nothing for certain.
    doubled = {variable: key for key, variable in keys.items()}
    doubled["conv2d_0.w_0"] = doubled["conv2d_1.w_0"]
    (tmp_path / "x.pdiparams.info").write_bytes(info(doubled))
    notes = files.open_checkpoint(tmp_path / "x.pdiparams").contents.notes
    assert notes == ("names from x.json",)


def test_a_damaged_or_hostile_table_of_names_is_an_error(jit, tmp_path) -> None:
    for name in ("x.json", "x.pdiparams"):
        shutil.copy(jit / name, tmp_path / name)
    (tmp_path / "x.pdiparams.info").write_bytes(pickle.dumps([1], protocol=2))
    with pytest.raises(weight_port.FormatError, match="damaged table of names"):
        weight_port.read(tmp_path / "x.pdiparams")
    (tmp_path / "x.pdiparams.info").write_bytes(b"\x80\x02cos\nsystem\nU\x04trueR.")
    with pytest.raises(weight_port.UnsafeFileError, match=r"asks for os\.system"):
        weight_port.read(tmp_path / "x.pdiparams")


# -- without a program


def combined(path: Path, tensors: dict[str, np.ndarray]) -> Path:
    with open(path, "wb") as stream:
        for name, array in sorted(tensors.items()):
            paddle1.write_record(stream, array, name)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnet34_paddleclas",
        "resnet50",
        "resnet101",
        "resnet50_vd",
        "cifar_resnet50",
        "resnet20",
        "resnet20_b",
    ],
)
@pytest.mark.parametrize("top", [True, False])
def test_names_from_the_shapes_alone(tmp_path, fake, same_bits, name: str, top: bool) -> None:
    tensors = fake("paddle1", name, include_top=top, in_channels=4)
    path = combined(tmp_path / "__params__", tensors)
    same_bits(weight_port.read(path), tensors)
    same_bits(weight_port.read(tmp_path), tensors)
    (note,) = files.open_checkpoint(path).contents.notes
    assert f"fit {name} as Paddle 1.x names it and nothing else" in note


def test_vision_names_from_the_shapes_alone(jit, tmp_path, same_bits) -> None:
    shutil.copy(jit / "x.pdiparams", tmp_path / "x.pdiparams")
    same_bits(weight_port.read(tmp_path / "x.pdiparams"), arrays(jit / "x.npz"))
    weight_port.convert_file(tmp_path / "x.pdiparams", tmp_path / "y.npz", "paddle.vision")
    same_bits(weight_port.read(tmp_path / "y.npz"), arrays(jit / "x_keys.npz"))


def test_shapes_of_no_network_are_an_error(static, tmp_path) -> None:
    shutil.copy(static / "x.pdiparams", tmp_path / "x.pdiparams")
    with pytest.raises(weight_port.DialectError, match="are those of no network of ours; put its"):
        weight_port.read(tmp_path / "x.pdiparams")


def test_shapes_that_fit_two_namings_are_an_error_with_both(tmp_path, fake, monkeypatch) -> None:
    path = combined(tmp_path / "__params__", fake("paddle1", "resnet18"))
    real = paddle_variables._candidates

    def twice(shapes):
        for names in real(shapes):
            yield names
            swapped = [*names.variables[1::-1], *names.variables[2:]]
            yield paddle_variables.Names("another", swapped, names.keys, names.shapes)

    monkeypatch.setattr(paddle_variables, "_candidates", twice)
    said = (
        "more than one naming: resnet18 as Paddle 1.x names it, bn2a_branch2a_mean first; another"
    )
    with pytest.raises(weight_port.DialectError, match=said):
        weight_port.read(path)


def test_no_two_namings_have_the_same_shapes() -> None:
    for name, row in arch.ARCHITECTURES.items():
        twins = [n for n, other in arch.ARCHITECTURES.items() if other.tensors == row.tensors]
        # NIN ends in a convolution: a matrix that shows its classes is not there.
        entries = dialects.keys("paddle1", name, 7 if row.counts[1] else None, 5)
        shapes = [entries[key].shape for key in sorted(entries)]
        fits = [
            found.what for found in paddle_variables._candidates(shapes) if found.shapes == shapes
        ]
        # Without batch norms, and with convolutions numbered 0 to 9, paddle.vision's tensors stand
        # in the same order.
        both = name in classic_names.PADDLE_VISION and not row.normed and row.counts[0] <= 10
        more = [f"{name} of paddle.vision"] if both else []
        assert fits == [f"{twins[0]} as Paddle 1.x names it", *more]


@pytest.mark.parametrize("top", [True, False])
def test_a_gated_network_is_named_by_its_shapes_with_or_without_its_classifier(top: bool) -> None:
    entries = dialects.keys("paddle1", "se_resnet18_vd", 7, include_top=top)
    shapes = [entries[key].shape for key in sorted(entries)]
    assert paddle_variables.name_by_shapes(shapes, "x").variables == sorted(entries)


VISION = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d",
          "wide_resnet50_2"]  # fmt: skip


@pytest.mark.parametrize("name", VISION)
def test_automatic_names_are_those_that_paddle_gives(name: str) -> None:
    with paddle.utils.unique_name.guard():
        model = getattr(paddle.vision.models, name)(num_classes=3)
    theirs = {key: tensor.name for key, tensor in model.state_dict().items()}
    assert paddle_variables.vision_names(name, 3) == theirs


def test_numbers_may_begin_anywhere() -> None:
    names = paddle_variables.vision_names("resnet18", 7)
    entries = dialects.keys("paddle.vision", "resnet18", 7)

    def later(name: str) -> str:
        return re.sub(r"_(\d+)\.", lambda m: f"_{int(m[1]) + 95}.", name)

    shapes = {later(names[key]): entry.shape for key, entry in entries.items()}
    assert paddle_variables.keys_of(shapes) == {later(names[key]): key for key in entries}
    assert paddle_variables.keys_of({**shapes, "conv2d_95.w_0": (64, 3, 7, 6)}) == {}
    assert paddle_variables.keys_of({**shapes, "extra": (1,)}) == {}


def test_a_truncated_combined_file_is_an_error(tmp_path, fake) -> None:
    path = combined(tmp_path / "__params__", fake("paddle1", "resnet18"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(weight_port.FormatError, match=r"tensor 101: truncated or no Paddle"):
        weight_port.read(path)


def test_one_tensor_is_named_after_its_file(tmp_path) -> None:
    desc = b"\x08\x05\x10\x02"
    record = b"\0" * 16 + struct.pack("<i", len(desc)) + desc + b"\0\0\x80?" * 2
    (tmp_path / "w").write_bytes(record)
    np.testing.assert_array_equal(weight_port.read(tmp_path / "w")["w"], [1, 1])
