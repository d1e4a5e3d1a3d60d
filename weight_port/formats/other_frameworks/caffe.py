"""``.caffemodel``: a NetParameter in protobuf, with each layer's blobs.

https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto. Of today's layers
(``layer``, field 100) and of the two older kinds: V1's (``layers``, field 2), and V0's in those. A
blob is called ``LAYER/NUMBER``, as in Caffe's HDF5 snapshots. A BatchNorm's blobs are its sums of
mean and variance and, third, the factor to divide them by: they are given as they stand.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from weight_port.errors import DAMAGE, FormatError, shown
from weight_port.formats.contents import Contents, Tensors, check_count, check_total
from weight_port.storage import protobuf
from weight_port.storage.buffers import byte_count, view
from weight_port.storage.sources import File

_V1_LAYER, _LAYER = 2, 100  # of a NetParameter
_V0 = 1  # of a V1 layer: a layer of the kind before
# (name, type, blobs) of a layer, by its kind.
_NEW, _V1, _OLD = (1, 2, 7), (4, 5, 6), (1, 2, 50)
# The types whose first blob has four dimensions, and those where it is a matrix: names, V0's names,
# V1's numbers (V1LayerParameter.LayerType).
_CONVOLUTIONS = {"Convolution", "Deconvolution", "conv", "deconv", 4, 39}
_PRODUCTS = {"InnerProduct", "innerproduct", 14}


@dataclass
class _Blob:
    """The fields of a BlobProto, still as bytes."""

    sizes: list[int] | None = None
    old: list[int] = field(default_factory=lambda: [0, 0, 0, 0])  # num, channels, height, width
    single: protobuf.Repeated = field(default_factory=protobuf.Repeated)
    double: protobuf.Repeated = field(default_factory=protobuf.Repeated)
    raw: bool = False  # in a field that is not Caffe's own


def read(file: File) -> Contents:
    """Every blob as ``LAYER/NUMBER``. Raises FormatError."""
    data = file.load()
    tensors: Tensors = {}
    try:
        for number, value in protobuf.fields(data):
            if isinstance(value, int):
                continue
            if number == _LAYER:
                _add(tensors, value, _NEW)
            elif number == _V1_LAYER:
                old = protobuf.message(value, _V0)
                _add(tensors, old or value, _OLD if old else _V1)
            check_count(len(tensors), len(data), file.where)
    except DAMAGE as error:
        raise FormatError(f"{file.where}: damaged Caffe model: {error!s:.200}") from None
    if not tensors:
        raise FormatError(
            f"{file.where}: no layer in it has weights: a network's description (.prototxt) in "
            "binary, or no Caffe model"
        )
    check_total(tensors, len(data), file.where)
    return Contents(tensors)


def _add(tensors: Tensors, layer: memoryview, kind: tuple[int, int, int]) -> None:
    """A layer's blobs, under its name; raises ValueError."""
    name_field, type_field, blobs_field = kind
    name = of_type = ""
    kind_number = 0
    for at, value in protobuf.fields(layer):
        if isinstance(value, int):
            kind_number = value if at == type_field else kind_number
        elif at == name_field:
            name = str(value, "utf-8")
        elif at == type_field:
            of_type = str(value, "utf-8")
    for number, message in enumerate(protobuf.messages(layer, blobs_field)):
        key = f"{name}/{number}"
        if key in tensors:
            raise ValueError(f"two layers are called {shown(name)}")
        try:
            tensors[key] = _array(_blob(message), of_type or kind_number, number)
        except ValueError as error:
            raise ValueError(f"{shown(key)}: {error}") from None


def _blob(message: memoryview) -> _Blob:
    blob = _Blob()
    for number, value in protobuf.fields(message):
        if isinstance(value, int):
            if 1 <= number <= 4:
                blob.old[number - 1] = value
        elif number == 5:
            blob.single.add(value)
        elif number == 7:
            blob.sizes = protobuf.integers(value, 1)
        elif number == 8:
            blob.double.add(value)
        blob.raw = blob.raw or number > 9
    return blob


def _array(blob: _Blob, of_type: str | int, number: int) -> np.ndarray:
    """The numbers in their shape; raises ValueError where the two disagree."""
    dtype = np.dtype("float64" if blob.double.data else "float32")
    data = blob.double.data or blob.single.data
    if not data and blob.raw:
        raise ValueError("its numbers stand in a field of another Caffe than BVLC's: not read")
    sizes = _old_shape(blob.old, of_type, number) if blob.sizes is None else blob.sizes
    if byte_count(sizes, dtype) != len(data):
        raise ValueError(f"{len(data)} bytes for shape {sizes} of {dtype}: truncated, or damaged")
    return view(data, dtype, sizes)


def _old_shape(sizes: list[int], of_type: str | int, number: int) -> list[int]:
    """The shape in what is left of four dimensions: a bias was (1, 1, 1, n), a matrix (1, 1, m, n).

    ``Blob::FromProto`` and ``Blob::ShapeEquals`` take the two for the same.
    """
    if number == 0 and of_type in _CONVOLUTIONS:
        return sizes
    keep = 2 if number == 0 and of_type in _PRODUCTS else 1
    while len(sizes) > keep and sizes[0] == 1:
        sizes = sizes[1:]
    return sizes
