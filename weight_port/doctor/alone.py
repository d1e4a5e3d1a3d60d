"""What a file shows by itself."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from weight_port.conversion.check import is_float
from weight_port.conversion.numbers import faults, is_finite, variances
from weight_port.conversion.recognise import Recognised
from weight_port.doctor.table import Finding


def findings(tensors: Mapping[str, np.ndarray], network: Recognised | None) -> list[Finding]:
    """What is wrong with a file's tensors, those of its network by their layers."""
    found = [*_not_finite(tensors)]
    if network is not None:
        found += [*_zeros(network), *_statistics(network), *_linear(network), *_missing(network)]
    return found


def _not_finite(tensors: Mapping[str, np.ndarray]) -> list[Finding]:
    bad = {key: array for key, array in tensors.items() if not is_finite(array)}
    nan = tuple(key for key, array in bad.items() if np.isnan(array.astype(complex)).any())
    halves = tuple(k for k, a in bad.items() if k not in nan and a.dtype.name == "float16")
    infinite = tuple(key for key in bad if key not in nan and key not in halves)
    rows = (
        (nan, "NaN", "training diverged, or the file is damaged; take an earlier state"),
        (halves, "float16 overflow", "numbers above 65504 became infinite; save it in float32"),
        (infinite, "infinite numbers", "training diverged, or a cast overflowed; save it wider"),
    )
    return [Finding(name, remedy, keys) for keys, name, remedy in rows if keys]


def _zeros(network: Recognised) -> list[Finding]:
    entries = network.detection.keys(True)
    empty = tuple(
        key
        for key, array in network.tensors.items()
        if key in entries and entries[key].role == "weight" and array.size and not array.any()
    )
    remedy = "they were never written or loaded; get the file again"
    return [Finding("convolutions of zeros", remedy, empty)] if empty else []


def _statistics(network: Recognised) -> list[Finding]:
    """Variances below 0, which are means where the means are all above."""
    entries = network.detection.keys(True)
    below = faults({}, variances(network.tensors, entries)).negative_in
    means = {e.layer: network.tensors[k] for k, e in entries.items()
             if e.role == "mean" and k in network.tensors}  # fmt: skip
    swapped = tuple(key for key in below if _is_positive(means.get(entries[key].layer)))
    rest = tuple(key for key in below if key not in swapped)
    rows = (
        (swapped, "mean and variance exchanged", "exchange them"),
        (rest, "variances below 0", "no training makes such; get the file again"),
    )
    return [Finding(name, remedy, keys) for keys, name, remedy in rows if keys]


def _is_positive(array: np.ndarray | None) -> bool:
    return array is not None and is_float(array.dtype) and bool((array > 0).all())


def _linear(network: Recognised) -> list[Finding]:
    """Linear weights with the sizes the other way round."""
    entries = network.detection.keys(True)
    turned = tuple(
        key
        for key, array in network.tensors.items()
        if key in entries and entries[key].role == "linear_weight"
        if array.shape != entries[key].shape and array.shape == entries[key].shape[::-1]
    )
    remedy = "transpose it: the other framework has it so"
    return [Finding("linear weight transposed", remedy, turned)] if turned else []


def _missing(network: Recognised) -> list[Finding]:
    expected = network.detection.keys(network.detection.include_top)
    gone = tuple(
        key for key, e in expected.items() if e.role != "counter" and key not in network.tensors
    )
    remedy = "shards or a part of the file are missing; get all of it"
    return [Finding("incomplete", remedy, gone)] if gone else []
