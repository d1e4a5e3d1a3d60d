"""``.onnx``: the initializers of a model, and the tensors of its Constant nodes.

A ModelProto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) whose graph lists its weights
as TensorProto: their bytes in ``raw_data``, in a typed field, or in a file beside the model. The
names are the exporter's: PyTorch's are those of the state dict, but for what it folded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath

import numpy as np

from weight_port.errors import DAMAGE, FormatError, shown
from weight_port.formats.contents import Contents, Tensors, check_count, check_total
from weight_port.storage import protobuf
from weight_port.storage.buffers import BFLOAT16, byte_count, dtype_called, view
from weight_port.storage.sources import File

_GRAPH = 7  # of a ModelProto
_NODE, _INITIALIZER, _SPARSE = 1, 5, 15  # of a GraphProto
_INPUT, _OUTPUT, _OPERATOR, _ATTRIBUTES = 1, 2, 4, 5  # of a NodeProto
_TENSOR = 5  # of an AttributeProto
_EXTERNAL = 1  # TensorProto.DataLocation
# TensorProto.DataType
DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    14: "complex64",
    15: "complex128",
    16: BFLOAT16,
}
# The typed fields: of float_data and double_data the bytes are the numbers', the others are varints
# (int32_data, int64_data, uint64_data), where half precision stands as its bits.
_NUMBERS, _VARINTS = (4, 10), (5, 7, 11)


@dataclass
class _Proto:
    """The fields of a TensorProto, still as bytes."""

    name: str = ""
    kind: int = 0
    sizes: list[int] = field(default_factory=list)
    raw: memoryview | None = None
    numbers: protobuf.Repeated = field(default_factory=protobuf.Repeated)
    varints: protobuf.Repeated = field(default_factory=protobuf.Repeated)
    external: dict[str, str] = field(default_factory=dict)
    location: int = 0


def read(file: File) -> Contents:
    """Every initializer by its name, and the floating-point constants by their outputs' names.

    Typed numbers and those in files beside the model are read too. Raises FormatError.
    """
    data = file.load()
    try:
        graph = _graph(data)
        if not graph:
            raise FormatError(f"{file.where}: no graph in it: not an ONNX model, or truncated")
        return _Reader(file, len(data)).contents(graph)
    except DAMAGE as error:
        raise FormatError(f"{file.where}: damaged ONNX model: {error!s:.200}") from None


def _graph(data: memoryview) -> memoryview:
    """The graph of a model, every field of which is there; raises ValueError."""
    graph = memoryview(b"")
    for number, value in protobuf.fields(data):
        if number == _GRAPH and not isinstance(value, int):
            graph = value
    return graph


class _Reader:
    """One graph's tensors, and what its nodes say of them."""

    def __init__(self, file: File, size: int) -> None:
        self.file, self.size = file, size
        self.tensors: Tensors = {}
        self.beside: dict[str, memoryview] = {}
        self.counts = {"Conv": 0, "BatchNormalization": 0}
        self.sparse = self.left_out = 0
        self.same: list[tuple[str, str]] = []  # input and output of an Identity

    def contents(self, graph: memoryview) -> Contents:
        for number, value in protobuf.fields(graph):
            if isinstance(value, int):
                continue
            if number == _INITIALIZER:
                proto = _proto(value)
                self.add(proto.name, self.array(proto))
            elif number == _NODE:
                self.node(value)
            self.sparse += number == _SPARSE
        for name, other in self.same:  # PyTorch's exporter writes equal tensors once
            if name in self.tensors and other not in self.tensors:
                self.add(other, self.tensors[name])
        where = self.file.where
        if not self.tensors:
            raise FormatError(f"{where}: an ONNX model without initializers: it holds no weights")
        check_total(self.tensors, self.size, where)
        return Contents(self.tensors, tuple(self.notes()))

    def add(self, name: str, array: np.ndarray) -> None:
        if name in self.tensors:
            raise ValueError(f"two tensors are called {shown(name)}")
        self.tensors[name] = array
        check_count(len(self.tensors), self.size, self.file.where)

    def node(self, desc: memoryview) -> None:
        """Count an operator; take a Constant's tensor where it can be a weight."""
        operator = protobuf.text(desc, _OPERATOR)
        if operator in self.counts:
            self.counts[operator] += 1
        if operator == "Identity":
            self.same.append((protobuf.text(desc, _INPUT), protobuf.text(desc, _OUTPUT)))
        if operator != "Constant":
            return
        for attribute in protobuf.messages(desc, _ATTRIBUTES):
            if protobuf.text(attribute, 1) == "value":
                array = self.array(_proto(protobuf.message(attribute, _TENSOR)))
                if array.ndim and array.dtype.kind in "fcV":
                    self.add(protobuf.text(desc, _OUTPUT), array)
                else:
                    self.left_out += 1

    def array(self, proto: _Proto) -> np.ndarray:
        """The tensor; raises FormatError, or ValueError."""
        if proto.kind not in DTYPES:
            raise ValueError(f"{shown(proto.name)} is of data type {proto.kind}, which is not read")
        dtype = dtype_called(DTYPES[proto.kind])
        if proto.location == _EXTERNAL:
            raw = self.external(proto, byte_count(proto.sizes, dtype))
            return view(raw, dtype, proto.sizes)
        if proto.raw is not None:
            return view(proto.raw, dtype, proto.sizes)
        return view(_typed(proto, dtype), dtype, proto.sizes)

    def external(self, proto: _Proto, count: int) -> memoryview:
        """A tensor's bytes in a file beside the model. Raises FormatError."""
        location = proto.external.get("location", "")
        if location not in self.beside:
            self.beside[location] = self.load(location)
            self.size += len(self.beside[location])
        data = self.beside[location]
        start = int(proto.external.get("offset", "0"))
        length = int(proto.external.get("length", str(count)))
        if length != count or start < 0 or start + length > len(data):
            raise FormatError(
                f"{self.file.where}: {shown(proto.name)} is {length} bytes from byte {start} of "
                f"{location!r:.200}, which has {len(data)}: truncated; get that file again"
            )
        return data[start : start + length]

    def load(self, location: str) -> memoryview:
        if not _is_plain_name(location):
            raise FormatError(
                f"{self.file.where}: its weights are in {location!r:.200}, outside of its folder; "
                "not read: save it again with the data in a file beside it"
            )
        other = self.file.beside(location)
        if other is None:
            raise FormatError(
                f"{self.file.where}: its weights are in {location!r:.200}, which is no plain file "
                "beside it (links are not followed); put the file itself there"
            )
        return other.load()

    def notes(self) -> Iterator[str]:
        yield from (f"weights in {name} beside it" for name in self.beside)
        if self.left_out:
            left_out = f"left out {self.left_out} constants that are no weights"
            yield f"{left_out} (shapes, axes, one number)"
        if self.sparse:
            yield f"left out {self.sparse} sparse initializers"
        numbered = sum(name.startswith("onnx::") for name in self.tensors)
        folded = self.counts["Conv"] and not self.counts["BatchNormalization"]
        if numbered:
            yield (
                f"{numbered} tensors have a number instead of a name (onnx::…): the exporter "
                "computed them"
            )
        if folded:
            yield (
                f"{self.counts['Conv']} convolutions and no batch norm: it was folded into them; "
                "to keep both, export with dynamo=True, optimize=False (older torch: "
                "training=TrainingMode.PRESERVE, do_constant_folding=False)"
            )


def _proto(message: memoryview) -> _Proto:
    proto = _Proto()
    for number, value in protobuf.fields(message):
        if isinstance(value, int):
            if number == 2:
                proto.kind = value
            elif number == 14:
                proto.location = value
            elif number in _VARINTS:  # not packed
                proto.varints.add(memoryview(protobuf.encode_varint(value)))
        elif number == 8:
            proto.name = str(value, "utf-8")
        elif number == 9:
            proto.raw = value
        elif number in _NUMBERS:
            proto.numbers.add(value)
        elif number in _VARINTS:
            proto.varints.add(value)
        elif number == 13:
            proto.external[protobuf.text(value, 1)] = protobuf.text(value, 2)
    proto.sizes = protobuf.integers(message, 1)
    return proto


def _typed(proto: _Proto, dtype: np.dtype) -> memoryview | bytearray:
    """The bytes of numbers that stand in a typed field."""
    if not proto.varints.data:
        return proto.numbers.data
    bits = protobuf.varints(memoryview(proto.varints.data), np.dtype(f"u{dtype.itemsize}"))
    return bits.view(np.uint8).data


def _is_plain_name(location: str) -> bool:
    """Whether it is the name of a file beside the model: no folder, no ``..``, no drive."""
    parts = (*PurePosixPath(location).parts, *PureWindowsPath(location).parts)
    return parts == (location, location) and location != ".." and "\0" not in location
