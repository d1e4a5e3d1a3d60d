"""Every kind of tensor that torch pickles is read as torch has it, or refused by its name."""

from __future__ import annotations

import collections
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import weight_port

every_format = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
REAL = torch.arange(-6.0, 6.0).reshape(3, 4)
COMPLEX = torch.complex(REAL, REAL.flip(0) + 0.5)

READ: dict[str, Callable[[], torch.Tensor]] = {
    "negated": lambda: torch._neg_view(REAL),
    "negated float64": lambda: torch._neg_view(REAL.double()),
    "negated float16": lambda: torch._neg_view(REAL.half()),
    "negated int64": lambda: torch._neg_view(REAL.long()),
    "negated int8": lambda: torch._neg_view(REAL.to(torch.int8)),
    "negated, of another order": lambda: torch._neg_view(REAL.T[1:, ::2]),
    "negated, a number": lambda: torch._neg_view(torch.tensor(3.0)),
    "negated, empty": lambda: torch._neg_view(torch.zeros(0, 3)),
    "negated, expanded": lambda: torch._neg_view(torch.ones(1).expand(3, 4)),
    "negated twice": lambda: torch._neg_view(torch._neg_view(REAL)),
    "negated, with infinities": lambda: torch._neg_view(torch.tensor([0.0, -0.0, 1e39, -1e39])),
    "conjugated": lambda: COMPLEX.conj(),
    "conjugated complex128": lambda: COMPLEX.to(torch.complex128).conj(),
    "conjugated and transposed": lambda: COMPLEX.mH,
    "imaginary part of a conjugate": lambda: COMPLEX.conj().imag,
    "real part of a conjugate": lambda: COMPLEX.conj().real,
    "a part of a conjugate": lambda: COMPLEX.conj()[1:, ::3],
    "parameter, negated": lambda: torch.nn.Parameter(torch._neg_view(REAL)),
    "buffer": lambda: torch.nn.Buffer(REAL),
    "uint16": lambda: torch.arange(5).to(torch.uint16),
    "uint64": lambda: torch.arange(5).to(torch.uint64),
    "bfloat16, negated": lambda: torch._neg_view(REAL.bfloat16()),
}


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach().resolve_conj().resolve_neg().contiguous()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


@every_format
@pytest.mark.parametrize("name", READ)
def test_it_is_what_torch_loads(tmp_path: Path, name: str, zipped: bool) -> None:
    path = tmp_path / "x.pth"
    saved = {"plain": torch.ones(2), "w": READ[name]()}
    torch.save(saved, path, _use_new_zipfile_serialization=zipped)
    expected = to_numpy(saved["w"])
    if zipped or not name.startswith("uint"):  # which torch itself can't load from its old format
        loaded = to_numpy(torch.load(path, weights_only=True)["w"])
        assert loaded.tobytes() == expected.tobytes()
    read = weight_port.read(path)["w"]
    read = read.astype(np.float32) if read.dtype.name == "bfloat16" else read
    assert read.dtype == expected.dtype
    assert read.shape == expected.shape
    assert read.tobytes() == expected.tobytes(), "the signs of zeros, too"


def test_a_tensor_without_bits_is_a_view_of_the_file_still(tmp_path: Path) -> None:
    torch.save({"a": REAL, "b": REAL[1], "c": torch._neg_view(REAL)}, tmp_path / "x.pth")
    read = weight_port.read(tmp_path / "x.pth")
    assert np.shares_memory(read["a"], read["b"])
    assert not np.shares_memory(read["a"], read["c"])


class Wrapper(torch.Tensor):
    """A wrapper subclass, as quantisation libraries have them."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Wrapper:
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    def __init__(self, inner: torch.Tensor) -> None:
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        raise NotImplementedError(function)


def quantized() -> torch.Tensor:
    return torch.quantize_per_tensor(REAL, 0.5, 3, torch.qint8)


REFUSED: dict[str, tuple[Callable[[], torch.Tensor], str]] = {
    "sparse": (lambda: REAL.to_sparse(), "_rebuild_sparse_tensor builds a sparse tensor"),
    "CSR": (lambda: REAL.to_sparse_csr(), "_rebuild_sparse_tensor builds a sparse tensor"),
    "CSC": (lambda: REAL.to_sparse_csc(), "_rebuild_sparse_tensor builds a sparse tensor"),
    "meta": (lambda: torch.empty(3, device="meta"), "on the meta device, which has no numbers"),
    "quantised": (quantized, "QInt8Storage, which is not read.*dequantize"),
    "nested": (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
               "_rebuild_nested_tensor builds a nested tensor"),
    "wrapper": (lambda: Wrapper(torch.ones(2)), "wraps others by a class of its own"),
    "float8": (lambda: REAL.to(torch.float8_e4m3fn), "dtype float8_e4m3fn, which is not read"),
    "complex of halves": (lambda: COMPLEX.to(torch.complex32), "which is not read"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # torch's, of the future of most of these kinds
@every_format
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_refused_by_its_name(tmp_path: Path, name: str, zipped: bool) -> None:
    make, said = REFUSED[name]
    path = tmp_path / "x.pth"
    saved = {"plain": torch.ones(2), "w": make()}
    torch.save(saved, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(weight_port.FormatError, match=said) as raised:
        weight_port.read(path)
    assert str(raised.value).startswith(f"{path}: ")


class Call:
    """What a pickle asks to be built, by a function of torch's and its arguments."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments


class Stored:
    """The storage with four float32, 0 to 3."""

    def __init__(self, kind: Any = torch.FloatStorage, count: int = 4) -> None:
        self.kind, self.count = kind, count


def archive(path: Path, value: Any) -> Path:
    class Pickler(pickle._Pickler):
        def persistent_id(self, obj: Any) -> Any:
            if not isinstance(obj, Stored):
                return None
            return ("storage", obj.kind, "0", "cpu", obj.count)

    stream = io.BytesIO()
    Pickler(stream, 2).dump(value)
    with zipfile.ZipFile(path, "w") as written:
        written.writestr("x/data.pkl", stream.getvalue())
        written.writestr("x/data/0", np.arange(4, dtype=np.float32).tobytes())
    return path


V2, V3 = torch._utils._rebuild_tensor_v2, torch._utils._rebuild_tensor_v3
NO_HOOKS = collections.OrderedDict()
PLAIN = (Stored(), 0, (2, 2), (2, 1), False, NO_HOOKS)
NUMBERS = np.arange(4, dtype=np.float32).reshape(2, 2)
DEVICE = torch._utils._rebuild_device_tensor_from_cpu_tensor
FROM_NUMPY = torch._utils._rebuild_device_tensor_from_numpy
BUILT = {
    "plain": (Call(V2, *PLAIN), NUMBERS),
    "no metadata": (Call(V2, *PLAIN, None), NUMBERS),
    "empty metadata": (Call(V2, *PLAIN, {}), NUMBERS),
    "bits that are not set": (Call(V2, *PLAIN, {"neg": False, "conj": False}), NUMBERS),
    "negated": (Call(V2, *PLAIN, {"neg": True}), -NUMBERS),
    "a device's": (Call(DEVICE, Call(V2, *PLAIN), torch.float32, "xla:0", False), NUMBERS),
    "a device's, negated": (
        Call(DEVICE, Call(V2, *PLAIN, {"neg": True}), torch.float32, "mtia:0", True),
        -NUMBERS,
    ),
    "a device's, by NumPy": (Call(FROM_NUMPY, NUMBERS, torch.float32, "xla:1", False), NUMBERS),
    "a parameter with attributes": (
        Call(torch._utils._rebuild_parameter_with_state, Call(V2, *PLAIN), True, NO_HOOKS,
             {"tag": 3}),
        NUMBERS,
    ),
}  # fmt: skip
LIES = {
    "unknown metadata": (Call(V2, *PLAIN, {"scale": 2.0}), "metadata that are not known"),
    "a bit that is a number": (Call(V2, *PLAIN, {"neg": 2}), "metadata that are not known"),
    "metadata in a list": (Call(V2, *PLAIN, ["neg"]), "metadata that are not known"),
    "an argument more": (Call(V2, *PLAIN, {}, 1), "damaged pickle"),
    "hooks": (Call(V2, *PLAIN[:5], {0: 1}), "a tensor with hooks"),
    "hooks of a parameter": (
        Call(torch._utils._rebuild_parameter, Call(V2, *PLAIN), True, {0: 1}),
        "a tensor with hooks",
    ),
    "a device's of another dtype": (
        Call(DEVICE, Call(V2, *PLAIN), torch.bfloat16, "xla:0", False),
        "a device's tensor of bfloat16 kept as float32; move it to the CPU",
    ),
    "a storage that is larger": (Call(V2, Stored(count=3), *PLAIN[1:]), "3 float32 in 16 bytes"),
    "a storage that is smaller": (Call(V2, Stored(count=5), *PLAIN[1:]), "5 float32 in 16 bytes"),
    "a storage of other items": (
        Call(V2, Stored(torch.DoubleStorage), *PLAIN[1:]),
        "4 float64 in 16 bytes",
    ),
    "two types of one storage": (
        [Call(V2, *PLAIN), Call(V2, Stored(torch.IntStorage), *PLAIN[1:])],
        "one storage is 4 float32 and 4 int32",
    ),
}


@pytest.mark.parametrize("name", BUILT)
def test_arguments_that_torch_knows_are_applied(tmp_path: Path, name: str) -> None:
    value, expected = BUILT[name]
    path = archive(tmp_path / "x.pth", {"w": value})
    assert weight_port.read(path)["w"].tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", LIES)
def test_arguments_that_would_be_ignored_are_refused(tmp_path: Path, name: str) -> None:
    value, said = LIES[name]
    listed = value if isinstance(value, list) else [value]
    path = archive(tmp_path / "x.pth", {f"w{n}": item for n, item in enumerate(listed)})
    with pytest.raises(weight_port.FormatError, match=said):
        weight_port.read(path)


def test_what_is_negated_many_times_over_is_refused_before_it_takes_memory(tmp_path) -> None:
    large = torch.ones(1 << 18)
    path = tmp_path / "x.pth"
    torch.save({f"w{n}": torch._neg_view(large) for n in range(40)}, path)
    with pytest.raises(weight_port.FormatError, match="the same bytes many times over"):
        weight_port.read(path)


TWICE = {
    "a number beside a text": {1: np.ones(2), "1": np.zeros(2)},
    "another order": {"1": np.zeros(2), 1: np.ones(2)},
    "a number beside a tensor": {"1": np.zeros(2), 1: 5},
    "True": {True: np.zeros(2), "True": np.ones(2)},
    "None": {None: np.zeros(2), "None": np.ones(2)},
    "a fraction": {1.5: np.zeros(2), "1.5": np.ones(2)},
    "nested": {"model": {2: np.zeros(2), "2": np.ones(2)}, "epoch": 1},
    "nested deeper": {"a": {"b": {2: np.zeros(2), "2": np.ones(2)}, "c": np.ones(1)}},
    "bytes": {"w": np.zeros(2), b"w": np.ones(2)},
}


@pytest.mark.parametrize("name", TWICE)
@pytest.mark.parametrize("protocol", [2, 4])
def test_two_tensors_of_one_name_are_an_error_in_every_pickle(tmp_path, name, protocol) -> None:
    (tmp_path / "x.pdparams").write_bytes(pickle.dumps(TWICE[name], protocol=protocol))
    with pytest.raises(weight_port.FormatError, match="twice"):
        weight_port.read(tmp_path / "x.pdparams")
    if name == "nested deeper":  # torch's files have no tensors there
        return
    for zipped in (True, False):
        torch.save(TWICE[name], tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
        with pytest.raises(weight_port.FormatError, match=r"two tensors have one name|twice"):
            weight_port.read(tmp_path / "x.pth")


def test_two_tensors_of_one_name_in_a_module_are_an_error(tmp_path: Path) -> None:
    module = torch.nn.Module()
    module.register_parameter("w", torch.nn.Parameter(torch.ones(2)))
    module._buffers["w"] = torch.zeros(2)
    torch.save(module, tmp_path / "x.pth")
    with pytest.raises(weight_port.FormatError, match="two tensors of a module are called 'w'"):
        weight_port.read(tmp_path / "x.pth")


def test_the_oldest_variables_have_their_tensor_in_their_state(tmp_path: Path) -> None:
    """torch 0.1's ``Variable.__setstate__``: (data, grad, requires_grad, volatile, hooks)."""

    class Old:
        def __reduce__(self):
            return torch.autograd.Variable, (), (Call(V2, *PLAIN), None, True, False, NO_HOOKS)

    content = archive(tmp_path / "x.pth", {"w": Old()})
    assert weight_port.read(content)["w"].tobytes() == NUMBERS.tobytes()
