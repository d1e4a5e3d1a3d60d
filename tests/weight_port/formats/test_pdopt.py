"""What Paddle saves beside a state dict: optimizers' states, dicts in dicts, slices."""

from __future__ import annotations

import pickle

import numpy as np
import paddle
import pytest

import weight_port
from weight_port.formats import files


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
    assert note.startswith("left out 2 that are no tensors: 'LR_Scheduler/last_epoch' (int)")


def test_a_state_dict_within_a_dict(tmp_path, same_bits) -> None:
    layer = paddle.nn.Linear(3, 4)
    weights = {key: value.numpy() for key, value in layer.state_dict().items()}
    paddle.save({"state_dict": layer.state_dict(), "epoch": 3}, str(tmp_path / "x.pdparams"))
    contents = files.open_checkpoint(tmp_path / "x.pdparams").contents
    same_bits(contents.tensors, weights)
    assert contents.notes[0] == "taken from 'state_dict'"
    assert contents.notes[1:] == ("left out beside 'state_dict': 'epoch' (int)",)
    paddle.save({"student": layer.state_dict(), "epoch": 3}, str(tmp_path / "y.pdparams"))
    read = weight_port.read(tmp_path / "y.pdparams")
    same_bits(read, weights)
    two = {"generator": layer.state_dict(), "critic": layer.state_dict()}
    paddle.save(two, str(tmp_path / "z.pdparams"))
    read = weight_port.read(tmp_path / "z.pdparams")
    same_bits(read, {f"{name}/{key}": array for name in two for key, array in weights.items()})


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
