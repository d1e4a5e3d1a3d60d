"""Bystanders of weights become placeholders: none is imported or called, and all are named."""

from __future__ import annotations

import argparse
import collections
import datetime
import decimal
import enum
import fractions
import functools
import os
import pathlib
import pickle
import sys
import types
import uuid

import numpy as np
import pytest

import weight_port
from weight_port.formats.files import open_checkpoint
from weight_port.pickles.attacks import is_attack

W = np.arange(3, dtype=np.float32)


class Colour(enum.Enum):
    RED = 1


BYSTANDERS = {
    "argparse.Namespace": argparse.Namespace(lr=0.1, layers=[1, 2]),
    "collections.Counter": collections.Counter([100, 150]),
    "collections.deque": collections.deque([1.0], maxlen=5),
    "datetime.datetime": datetime.datetime(2026, 1, 1),
    "decimal.Decimal": decimal.Decimal("0.1"),
    "fractions.Fraction": fractions.Fraction(1, 3),
    "functools.partial": functools.partial(max, 1),
    "types.SimpleNamespace": types.SimpleNamespace(a=1),
    "uuid.UUID": uuid.UUID(int=5),
    "Colour": Colour.RED,
    "pathlib": pathlib.PurePosixPath("a/b"),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", BYSTANDERS)
def test_a_bystander_is_left_out_by_its_name(tmp_path, name: str, protocol: int) -> None:
    path = tmp_path / "x.pdparams"
    path.write_bytes(pickle.dumps({"w": W, "rest": BYSTANDERS[name]}, protocol=protocol))
    contents = open_checkpoint(path).contents
    assert contents.tensors["w"].tobytes() == W.tobytes()
    assert list(contents.tensors) == ["w"]
    assert any(
        note.startswith("left out 1 that are no tensors: 'rest' (") for note in contents.notes
    )
    assert any(name.rpartition(".")[2] in note for note in contents.notes[1:])


def test_sets_are_left_out(tmp_path) -> None:
    path = tmp_path / "x.pdparams"
    beside = {"a": {1, 2}, "b": frozenset("x"), "c": bytearray(b"abc")}
    path.write_bytes(pickle.dumps({"w": W, **beside}, protocol=5))
    assert list(weight_port.read(path)) == ["w"]


def test_a_module_of_the_file_is_not_imported(tmp_path, monkeypatch) -> None:
    (tmp_path / "stranger.py").write_text(
        f"open({str(tmp_path / 'canary')!r}, 'w').close()\nclass A: pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "x.pdparams"
    call = b"cstranger\nA\n)\x81}b"
    head = b"\x80\x04}(X\x01\x00\x00\x00w"
    path.write_bytes(
        head + pickle.dumps(W, protocol=2)[2:-1] + b"X\x01\x00\x00\x00v" + call + b"u."
    )
    assert list(weight_port.read(path)) == ["w"]
    assert "stranger" not in sys.modules
    assert not (tmp_path / "canary").exists()
    pickle.loads(path.read_bytes())  # noqa: S301 (Python's own does import it)
    assert (tmp_path / "canary").exists()


ATTACKS = [
    *(("os", "system"), ("posix", "popen"), ("nt", "system"), ("subprocess", "Popen")),
    *(("builtins", "exec"), ("__builtin__", "execfile"), ("builtins", "getattr")),
    *(("os.path", "join"), ("importlib", "import_module"), ("runpy", "run_path")),
    *(("socket", "create_connection"), ("urllib.request", "urlopen"), ("shutil", "rmtree")),
    *(("pickle", "loads"), ("torch", "load"), ("torch.hub", "load"), ("numpy", "load")),
    *(("operator", "methodcaller"), ("types", "CodeType"), ("_io", "FileIO"), ("pty", "spawn")),
    *(("numpy.testing._private.utils", "runstring"), ("torch.jit._script", "unsafe")),
    *(("torch", "serialization.os.system"), ("a", "b.__class__"), ("x", "_os.system")),
]


@pytest.mark.parametrize(("module", "name"), ATTACKS)
def test_known_attacks_are_refused_by_their_name(tmp_path, module: str, name: str) -> None:
    assert is_attack(module, name)
    path = tmp_path / "x.pdparams"
    path.write_bytes(b"\x80\x04}(X\x01\x00\x00\x00w" + f"c{module}\n{name}\n".encode() + b"u.")
    with pytest.raises(weight_port.UnsafeFileError) as raised:
        weight_port.read(path)
    assert f"asks for {module}.{name}" in str(raised.value)


@pytest.mark.parametrize(
    ("module", "name"),
    [("argparse", "Namespace"), ("torch", "device"), ("omegaconf.dictconfig", "DictConfig"),
     ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"), ("__main__", "Net"),
     ("functools", "partial"), ("osmnx", "x"), ("codebook", "Code")],
)  # fmt: skip
def test_a_class_of_data_is_no_attack(module: str, name: str) -> None:
    assert not is_attack(module, name)


def test_a_placeholder_never_calls(tmp_path) -> None:
    """A call of a call of a placeholder is a placeholder still."""

    class Twice:
        def __reduce__(self):
            return functools.partial(os.getcwd), ()

    path = tmp_path / "x.pdparams"
    path.write_bytes(pickle.dumps({"w": W, "v": Twice()}, protocol=2))
    with pytest.raises(weight_port.UnsafeFileError, match=r"posix\.getcwd"):
        weight_port.read(path)
