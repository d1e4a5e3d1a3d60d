"""Weights between frameworks and dialects: NumPy in the middle, no framework imported.

>>> import weight_port
>>> tensors = weight_port.read("ResNet50_pretrained.pdparams")
>>> weight_port.write("resnet50.pth", weight_port.convert(tensors, to="torchvision"))
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"  # of all the packages; pyproject.toml takes it from here

if TYPE_CHECKING:
    from weight_port.conversion.check import check
    from weight_port.conversion.convert import convert
    from weight_port.conversion.convert_file import convert_file
    from weight_port.conversion.detect import Detection, detect
    from weight_port.conversion.recognise import Recognised, recognise
    from weight_port.errors import (
        DestinationError,
        DialectError,
        FormatError,
        MismatchError,
        PartWarning,
        TwinWarning,
        UnsafeFileError,
        WeightPortError,
    )
    from weight_port.formats.files import read, write

_HOMES = {
    "weight_port.conversion.check": ("check",),
    "weight_port.conversion.convert": ("convert",),
    "weight_port.conversion.detect": ("Detection", "detect"),
    "weight_port.errors": (
        "DestinationError",
        "DialectError",
        "FormatError",
        "MismatchError",
        "PartWarning",
        "TwinWarning",
        "UnsafeFileError",
        "WeightPortError",
    ),
    "weight_port.formats.files": ("read", "write"),
    "weight_port.conversion.convert_file": ("convert_file",),
    "weight_port.conversion.recognise": ("Recognised", "recognise"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "DestinationError",
    "Detection",
    "DialectError",
    "FormatError",
    "MismatchError",
    "PartWarning",
    "Recognised",
    "TwinWarning",
    "UnsafeFileError",
    "WeightPortError",
    "check",
    "convert",
    "convert_file",
    "detect",
    "read",
    "recognise",
    "write",
]


def __getattr__(name: str) -> Any:
    # Loaded on first use: `weight_port.arch` needs the standard library alone, and `--help`
    # should not wait for NumPy.
    if name not in _HOME:
        raise AttributeError(f"module 'weight_port' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
