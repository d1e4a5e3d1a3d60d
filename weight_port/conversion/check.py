"""Whether a set of tensors is complete, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from weight_port.conversion.detect import Detection
from weight_port.dialects.keys import Key
from weight_port.errors import MismatchError, one_line
from weight_port.parts import others


def check(
    tensors: Mapping[str, np.ndarray], detection: Detection, include_top: bool = True
) -> None:
    """Raises MismatchError that lists missing, unexpected, mis-shaped and non-float tensors."""
    expected = detection.keys(include_top)
    # With include_top=False the classifier is left behind on purpose, in whatever form it stands
    # there, so it is not unexpected.
    known = detection.keys(True)
    ignored = () if include_top else detection.head
    optional = {key for key, entry in known.items() if entry.role == "counter"}
    here = [key for key in expected if key in tensors]
    problems = {
        "missing": [
            f"- {key}  ({expected[key].name})  {list(expected[key].shape)}"
            for key in expected
            if key not in tensors and key not in optional
        ],
        "unexpected": [
            f"+ {key}  (not in the scheme)  {list(tensors[key].shape)}"
            for key in tensors
            if key not in known and not key.startswith(ignored)
        ],
        "mis-shaped": [
            f"~ {key}  ({expected[key].name})  is {list(tensors[key].shape)}, "
            f"should be {list(expected[key].shape)}{_hint(tensors[key], expected[key])}"
            for key in here
            if tensors[key].shape != expected[key].shape
        ],
        "not floating point": [
            f"~ {key}  ({expected[key].name})  {tensors[key].dtype}"
            for key in here
            if key not in optional and not is_float(tensors[key].dtype)
        ],
    }
    if not any(problems.values()):
        return
    what = f"{detection.architecture} in {detection.dialect}"
    lines = [f"the tensors are not a complete {what} ({detection.reason})"]
    for title, entries in problems.items():
        if entries:
            lines += [
                f"  {title} ({len(entries)}):",
                *(f"    {one_line(entry)}" for entry in entries),
            ]
    if include_top and not detection.include_top:
        lines.append(
            "  There is no classifier: pass --no-top (include_top=False) for the backbone alone."
        )
    if beside := [key for key in tensors if key not in known and not detection.holds(key)]:
        modules = others.listed(others.by_module(beside, ""))
        lines.append(f"  Beside the network stand {modules}: --rest drop (rest=…) leaves them out.")
    raise MismatchError("\n".join(lines))


def _hint(array: np.ndarray, entry: Key) -> str:
    """What a linear weight's shape says of the mistake: its classes are read off the bias."""
    if entry.role != "linear_weight":
        return ""
    if array.shape == entry.shape[::-1]:
        return ": it stands the other way round, as in the other framework; transpose it first"
    axis = entry.order.index(1) if entry.order else 1
    others = [size for place, size in enumerate(array.shape) if place != axis]
    if array.ndim != 2 or others != [entry.sizes[0]]:
        return ""
    return f": the bias (fc_0.b_0) has {entry.sizes[1]} classes; one of the two is not whole"


def is_float(dtype: np.dtype) -> bool:
    """Floating point, bfloat16 (which NumPy counts as a void type) included."""
    return dtype.kind == "f" or dtype.name == "bfloat16"
