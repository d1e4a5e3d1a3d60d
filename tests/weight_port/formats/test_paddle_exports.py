"""Exports whose programs list more than the file holds, or whose layers have no names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

import weight_port
from weight_port.dialects import keys
from weight_port.formats import files

nn = paddle.nn


# -- recurrent layers, whose dropout has a state

RNN = """
import sys, warnings
import paddle
warnings.simplefilter("ignore")
kind, layers, direction, old, out = sys.argv[1:]

class Net(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        rnn = getattr(paddle.nn, kind)
        self.rnn = rnn(8, 4, num_layers=int(layers), direction=direction)
        self.head = paddle.nn.Linear(8 if direction != "forward" else 4, 3)
    def forward(self, x):
        return self.head(self.rnn(x)[0])

net = Net()
net.eval()
if old == "1":  # Paddle 3.3.1 asks for the place of a state that has none
    state = paddle.zeros([1], "uint8")
    state.name, state.persistable = net.rnn._dropout_state.name, False
    net.rnn._dropout_state = state
spec = [paddle.static.InputSpec([None, 5, 8], "float32", "x")]
paddle.jit.save(paddle.jit.to_static(net, input_spec=spec), out)
names = {value.name: value for value in net.state_dict().values()}
import numpy as np
np.savez(out + ".npz", **{name: value.numpy() for name, value in names.items()})
"""


@pytest.mark.parametrize("old", [False, True], ids=["pir", "program desc"])
@pytest.mark.parametrize(
    ("kind", "layers", "direction"),
    [("LSTM", 2, "bidirectional"), ("GRU", 1, "forward"), ("SimpleRNN", 1, "bidirect")],
)
def test_an_export_with_a_recurrent_layer(
    tmp_path, same_bits, kind: str, layers: int, direction: str, old: bool
) -> None:
    out = tmp_path / "inference"
    environment = {**os.environ, **({"FLAGS_enable_pir_api": "0"} if old else {})}
    arguments = [kind, str(layers), direction, str(int(old)), str(out)]
    (tmp_path / "export.py").write_text(RNN)  # a file, since Paddle reads its source
    command = [sys.executable, str(tmp_path / "export.py"), *arguments]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    program = tmp_path / ("inference.pdmodel" if old else "inference.json")
    assert b"dropout_state__non_persistable" in program.read_bytes()
    same_bits(weight_port.read(f"{out}.pdiparams"), weight_port.read(f"{out}.npz"))


# -- PaddleClas from 2.2 on: ppcls/arch/backbone/legendary_models/resnet.py, its layers' order


class Unit(nn.Layer):
    def __init__(self, i: int, o: int, size: int, stride: int = 1, pooled: bool = False) -> None:
        super().__init__()
        self.pool = nn.AvgPool2D(2, 2, ceil_mode=True) if pooled else None
        stride = 1 if pooled else stride
        self.conv = nn.Conv2D(i, o, size, stride, (size - 1) // 2, bias_attr=False)
        self.bn = nn.BatchNorm(o)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.bn(self.conv(self.pool(x) if self.pool else x))


class Block(nn.Layer):
    def __init__(self, i: int, units: tuple[Unit, ...], short: Unit | None) -> None:
        super().__init__()
        for number, unit in enumerate(units):
            setattr(self, f"conv{number}", unit)
        self.units, self.short = len(units), short

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        y = x
        for number in range(self.units):
            y = getattr(self, f"conv{number}")(y)
        return nn.functional.relu(y + (self.short(x) if self.short else x))


def clas(depth: int, vd: bool, classes: int) -> nn.Layer:
    """A ResNet as PaddleClas builds it: convolutions of a block first, then its projection."""
    bottleneck, counts = depth >= 50, {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}[depth]
    stem = (Unit(3, 32, 3, 2), Unit(32, 32, 3), Unit(32, 64, 3)) if vd else (Unit(3, 64, 7, 2),)
    blocks, i = [], 64
    for stage, (count, width) in enumerate(zip(counts, (64, 128, 256, 512), strict=True)):
        for index in range(count):
            stride = 2 if stage and not index else 1
            o = 4 * width if bottleneck else width
            if bottleneck:
                units = Unit(i, width, 1), Unit(width, width, 3, stride), Unit(width, o, 1)
            else:
                units = Unit(i, width, 3, stride), Unit(width, width, 3)
            pooled = vd and stride == 2
            short = Unit(i, o, 1, stride, pooled) if not index else None
            blocks.append(Block(i, units, short))
            i = o
    network = nn.Layer()
    network.stem, network.blocks = nn.Sequential(*stem), nn.Sequential(*blocks)
    network.fc = nn.Linear(i, classes)
    return network


class Exported(nn.Layer):
    """ppcls/engine/engine.py, ExportModel: the network under a name of its own, with a softmax."""

    def __init__(self, network: nn.Layer) -> None:
        super().__init__()
        self.base_model = network

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        base = self.base_model
        x = nn.functional.max_pool2d(base.stem(x), 3, 2, 1)
        return nn.functional.softmax(base.fc(base.blocks(x).mean([2, 3])), -1)


def export(network: nn.Layer, folder: Path) -> Path:
    """The network, its parameters all of different numbers, exported into a folder."""
    network.eval()
    for number, parameter in enumerate(network.parameters()):  # also a batch norm's statistics
        parameter.set_value(np.full(parameter.shape, number / 1000, np.float32))
    spec = [paddle.static.InputSpec([None, 3, 64, 64], "float32", "x")]
    static = paddle.jit.to_static(Exported(network), input_spec=spec, full_graph=True)
    paddle.jit.save(static, str(folder / "inference"))
    return folder / "inference.pdiparams"


@pytest.mark.parametrize(
    ("depth", "vd", "name"),
    [(50, True, "resnet50_vd"), (50, False, "resnet50"), (18, False, "resnet18_paddleclas"),
     (18, True, "resnet18_vd_paddleclas")],
)  # fmt: skip
def test_an_export_of_paddleclas_without_names(
    tmp_path, same_bits, depth: int, vd: bool, name: str
) -> None:
    """Numbers start anywhere: a process may have built layers before."""
    nn.Conv2D(3, 3, 3)
    network = clas(depth, vd, 7)
    out = export(network, tmp_path)
    state = {key: value.numpy() for key, value in network.state_dict().items()}
    assert state.keys() == keys.keys("paddleclas", name, 7).keys()
    contents = files.open_checkpoint(out).contents
    named = {contents.structured[key]: array for key, array in contents.tensors.items()}
    same_bits(named, state)
    detection = weight_port.recognise(out).detection
    assert (detection.dialect, detection.architecture) == ("paddleclas", name)


@pytest.mark.parametrize(("depth", "vd"), [(50, True), (18, False)])
def test_without_its_program_the_shapes_say_as_much(
    tmp_path, same_bits, depth: int, vd: bool
) -> None:
    """Of a process that built nothing else: the file's order is that of names with numbers."""
    with paddle.utils.unique_name.guard():
        network = clas(depth, vd, 7)
    out = export(network, tmp_path)
    (tmp_path / "inference.json").unlink()
    state = {key: value.numpy() for key, value in network.state_dict().items()}
    same_bits(weight_port.recognise(out).tensors, state)
