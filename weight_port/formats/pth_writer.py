"""``.pth``, written as ``torch.save`` writes it since torch 1.6, without torch.

A stored zip of ``data.pkl`` and one file per storage (``torch/serialization.py``,
``caffe2/serialize/inline_container.cc``).
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from weight_port.errors import DestinationError
from weight_port.formats.pth_tensors import STORAGES
from weight_port.pickles import writer as op
from weight_port.storage import zips
from weight_port.storage.buffers import dtype_name, raw_bytes

_NAMES = {dtype: name for name, dtype in STORAGES.items()}
_EMPTY = op.call(op.global_("collections", "OrderedDict"))


def write(stream: BinaryIO, tensors: Mapping[str, np.ndarray]) -> None:
    """Write a state dict as ``torch.load(weights_only=True, mmap=True)`` reads it.

    Raises DestinationError for a dtype that torch has no storage for.
    """
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        zips.add(archive, "archive/data.pkl", _pickle(tensors))
        zips.add(archive, "archive/byteorder", b"little")
        for number, array in enumerate(tensors.values()):
            zips.add(archive, f"archive/data/{number}", raw_bytes(array))
        zips.add(archive, "archive/version", b"3\n")


def _pickle(tensors: Mapping[str, np.ndarray]) -> bytes:
    """``data.pkl``: an OrderedDict of tensors, one storage each."""
    items = [
        op.text(key) + _tensor(key, str(number), array)
        for number, (key, array) in enumerate(tensors.items())
    ]
    return op.protocol(2) + _EMPTY + op.MARK + b"".join(items) + op.SET_ITEMS + op.STOP


def _tensor(key: str, storage: str, array: np.ndarray) -> bytes:
    """A call of torch._utils._rebuild_tensor_v2 on a storage with the array in C order."""
    if dtype_name(array.dtype) not in _NAMES:
        raise DestinationError(f"{key}: torch has no storage for dtype {array.dtype}")
    identity = op.tuple_(
        op.text("storage"),
        op.global_("torch", _NAMES[dtype_name(array.dtype)]),
        op.text(storage),
        op.text("cpu"),
        op.integer(array.size),
    )
    strides = [1] * array.ndim
    for axis in range(array.ndim - 1, 0, -1):
        strides[axis - 1] = strides[axis] * array.shape[axis]
    return op.call(
        op.global_("torch._utils", "_rebuild_tensor_v2"),
        identity + op.PERSISTENT_ID,
        op.integer(0),  # offset
        op.integers(array.shape),
        op.integers(strides),
        op.FALSE,  # requires_grad
        _EMPTY,  # backward hooks
    )
