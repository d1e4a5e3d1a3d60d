"""The tensors in torch's pickles: storages, views into them, and the functions that build them.

``torch/_utils.py`` has the functions, ``torch/_tensor.py`` what it writes for which tensor. Each is
read rightly or refused by its name; what torch keeps beside the numbers (that a tensor is to be
negated, or conjugated) is applied.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from weight_port.errors import FormatError, shown
from weight_port.pickles.arrays import NUMPY_GLOBALS, PendingArray
from weight_port.pickles.values import Global, Pending, Placeholder
from weight_port.storage.buffers import BFLOAT16, MAX_DIMENSIONS, dtype_called

STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}
_BYTES = "UntypedStorage"  # of tensors that bring their dtype: there is no storage type for it
# Of those dtypes, the ones that NumPy has too.
DTYPES = ("uint16", "uint32", "uint64")
_STORED = {**STORAGES, _BYTES: "uint8"}  # every storage's elements, by the name of its type
# What a tensor's numbers are yet to undergo (torch._C._get_tensor_metadata).
_BITS = {"conj": np.conjugate, "neg": np.negative}


class Storage:
    """A storage whose bytes may come later, as in the legacy format."""

    def __init__(self, dtype: np.dtype, count: int) -> None:
        self.dtype, self.count = dtype, count
        self.raw: memoryview | bytes = b""

    def fill(self, raw: memoryview | bytes) -> None:
        """Take its bytes; raises ValueError where they are not as many as it says."""
        if len(raw) != self.count * self.dtype.itemsize:
            raise ValueError(f"a storage of {self.count} {self.dtype} in {len(raw)} bytes")
        self.raw = raw


class Tensor:
    """A view into a storage: offset, shape and strides, in elements; and what is to be done to it.

    It is ``_rebuild_tensor_v2`` and, with fewer arguments, ``_rebuild_tensor`` of torch 0.3.
    """

    __slots__ = ("bits", "dtype", "offset", "shape", "storage", "stride")

    def __init__(
        self,
        storage: Any,
        offset: int,
        shape: Any,
        stride: Any,
        grad: Any = False,
        hooks: Any = None,
        metadata: Any = None,
    ) -> None:
        if not isinstance(storage, Storage) or len(shape) != len(stride):
            raise ValueError("tensor without a storage")
        if len(shape) > MAX_DIMENSIONS:
            raise ValueError(f"a shape of {len(shape)} dimensions")
        # Copies: a list could still grow by what nobody looks at.
        shape, stride = tuple(shape), tuple(stride)
        numbers = (offset, *shape, *stride)
        if any(not isinstance(number, int) or number < 0 for number in numbers):
            raise ValueError("negative offset, size or stride")
        _check_hooks(hooks)
        self.storage, self.offset, self.shape, self.stride = storage, offset, shape, stride
        self.dtype, self.bits = storage.dtype, _bits(metadata)

    def view(self) -> np.ndarray:
        """The numbers as they are stored; raises ValueError where it reaches past its storage."""
        dtype, raw = self.dtype, self.storage.raw
        if 0 in self.shape:
            return np.empty(self.shape, dtype)
        steps = zip(self.shape, self.stride, strict=True)
        last = self.offset + sum((size - 1) * stride for size, stride in steps)
        if last >= len(raw) // dtype.itemsize:
            raise ValueError(f"element {last} of a storage of {len(raw) // dtype.itemsize}")
        strides = [stride * dtype.itemsize for stride in self.stride]
        return np.ndarray(self.shape, dtype, raw, self.offset * dtype.itemsize, strides)

    def values(self, stored: np.ndarray) -> np.ndarray:
        """What the tensor is: ``stored`` itself, or a copy that is conjugated and negated."""
        for bit in self.bits:
            stored = np.asarray(_BITS[bit](stored))
        return stored


def _bits(metadata: Any) -> tuple[str, ...]:
    """The names of the bits that are set; raises ValueError for what is not known."""
    if metadata is None:
        return ()
    if not isinstance(metadata, dict) or any(
        key not in _BITS or not isinstance(value, bool) for key, value in metadata.items()
    ):
        raise ValueError("a tensor with metadata that are not known; save it as a plain tensor")
    return tuple(bit for bit in _BITS if metadata.get(bit))


def _check_hooks(hooks: Any) -> None:
    """Raises ValueError for hooks: torch writes none, since they are functions."""
    if hooks:
        raise ValueError("a tensor with hooks, which are functions; save it as a plain tensor")


class Variable(Pending):
    """A Parameter or Variable of torch 0.3 and before."""

    __slots__ = ("data",)

    def __init__(self, data: Any = None, *_: Any) -> None:
        self.data = data

    def set_state(self, state: Any) -> None:
        """Take its tensor, which the oldest put first of five; of others only hooks and flags."""
        if isinstance(state, (tuple, list)) and len(state) == 5:
            self.data = state[0]


def _parameter(data: Any, grad: Any = True, hooks: Any = None, state: Any = None) -> Any:
    """``_rebuild_parameter`` and ``_rebuild_parameter_with_state``, of Python's attributes."""
    _check_hooks(hooks)
    return data


def _typed_tensor(
    storage: Any,
    offset: int,
    shape: Any,
    stride: Any,
    grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    """``_rebuild_tensor_v3``: a tensor over bytes."""
    if _dtype(dtype) not in DTYPES or not isinstance(storage, Storage):
        raise ValueError(
            f"a tensor of dtype {_dtype(dtype) or 'unknown'}, which is not read; save it as float32"
        )
    tensor = Tensor(storage, offset, shape, stride, grad, hooks, metadata)
    tensor.dtype = dtype_called(_dtype(dtype))
    return tensor


def _dtype(value: Any) -> str:
    """The name of one of torch's dtypes, "" for another thing."""
    name = value.name if isinstance(value, (Global, Placeholder)) else ""
    return name.removeprefix("torch.")[:40]


def _tensor_of_type(rebuild: Any, kind: Any, arguments: Any, *_: Any) -> Any:
    """``_rebuild_from_type_v2``: a tensor with attributes, or of a class of its own."""
    if not callable(rebuild) or not isinstance(arguments, tuple):
        raise ValueError("a tensor of a kind that is not read; save a plain state dict")
    return rebuild(*arguments)


def _device_tensor(data: Any, dtype: Any, device: Any = None, grad: Any = False) -> Any:
    """``_rebuild_device_tensor_from_cpu_tensor`` and ``…_from_numpy``: of XLA and its kin."""
    tensor = data.data if isinstance(data, Variable) else data
    if isinstance(tensor, Tensor):
        stored = tensor.dtype.name
    elif isinstance(tensor, PendingArray) and tensor.array is not None:
        stored = tensor.array.dtype.name
    else:
        raise ValueError("a device's tensor without its numbers")
    if _dtype(dtype) != stored:
        raise ValueError(
            f"a device's tensor of {_dtype(dtype) or 'an unknown dtype'} kept as {stored}; move it "
            "to the CPU before it is saved"
        )
    return tensor


# Kinds of tensors that are not read, each with what it is and the way out.
_UNREAD = {
    "_rebuild_sparse_tensor": "a sparse tensor; save tensor.to_dense()",
    "_rebuild_sparse_csr_tensor": "a sparse tensor; save tensor.to_dense()",
    "_rebuild_qtensor": "a quantised tensor; save tensor.dequantize()",
    "_rebuild_nested_tensor": "a nested tensor, of tensors of several shapes; save them by name",
    "_rebuild_njt": "a nested tensor, of tensors of several shapes; save them by name",
    "_rebuild_meta_tensor_no_storage": "a tensor on the meta device, which has no numbers; load "
    "its weights before it is saved",
    "_rebuild_wrapper_subclass": "a tensor that wraps others by a class of its own; unwrap it "
    "before it is saved",
}


def _unread(name: str) -> Any:
    def refuse(*_: Any) -> NoReturn:
        raise FormatError(f"{name} builds {_UNREAD[name]}")

    return refuse


GLOBALS: dict[tuple[str, str], Any] = {
    **NUMPY_GLOBALS,
    **{("torch._utils", name): _unread(name) for name in _UNREAD},
    ("torch.nested._internal.nested_tensor", "_rebuild_njt"): _unread("_rebuild_njt"),
    ("torch._utils", "_rebuild_tensor_v2"): Tensor,
    ("torch._utils", "_rebuild_tensor"): Tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"): _device_tensor,
    ("torch._utils", "_rebuild_device_tensor_from_numpy"): _device_tensor,
    ("torch._utils", "_rebuild_xla_tensor"): _device_tensor,
    ("torch._tensor", "_rebuild_from_type"): _tensor_of_type,
    ("torch._tensor", "_rebuild_from_type_v2"): _tensor_of_type,
    ("torch.nn.parameter", "Parameter"): Variable,
    ("torch.autograd.variable", "Variable"): Variable,
    ("torch.storage", _BYTES): Global(_BYTES),
    **{("torch", name): Global(name) for name in DTYPES},
    **{("torch", name): Global(name) for name in STORAGES},
}


def identified(identity: Any) -> tuple[str, Storage]:
    """(key, storage) of torch's persistent id ('storage', type, key, location, count, view)."""
    kind, storage_type, key, _, count, *window = identity
    if any(part is not None for part in window):  # torch 0.3 and before
        raise ValueError("a storage that is a part of another; save it again with a newer torch")
    if kind != "storage" or not isinstance(key, str):
        raise ValueError("persistent id is no storage")
    if not isinstance(storage_type, Global) or storage_type.name not in _STORED:
        raise ValueError(
            f"a storage of type {_name(storage_type)}, which is not read; save the tensors as "
            "float32 (a quantised one: tensor.dequantize())"
        )
    if not isinstance(count, int) or count < 0:
        raise ValueError(f"storage of {shown(count)} elements")
    return key, Storage(dtype_called(_STORED[storage_type.name]), count)


def _name(value: Any) -> str:
    return value.name[:80] if isinstance(value, (Global, Placeholder)) else shown(value)


def same(first: Storage, second: Storage) -> Storage:
    """The first of two storages of one key; raises ValueError where they are not the same."""
    if (first.dtype, first.count) != (second.dtype, second.count):
        raise ValueError(
            f"one storage is {first.count} {first.dtype} and {second.count} {second.dtype}"
        )
    return first


def tensor_of(item: Any) -> Tensor | PendingArray | None:
    """The tensor behind a value, None where it is none."""
    if isinstance(item, Variable):
        item = item.data
    array = isinstance(item, PendingArray) and item.array is not None
    return item if array or isinstance(item, Tensor) else None


def view_of(tensor: Tensor | PendingArray) -> np.ndarray:
    """Its numbers as they are stored."""
    view = tensor.view() if isinstance(tensor, Tensor) else tensor.array
    assert view is not None  # as tensor_of saw
    return view


def values_of(tensor: Tensor | PendingArray, view: np.ndarray) -> np.ndarray:
    """Its numbers, from how they are stored: a copy where they are to be negated."""
    return tensor.values(view) if isinstance(tensor, Tensor) else view


def is_tensor(item: Any) -> bool:
    """Whether a value is one."""
    return tensor_of(item) is not None
