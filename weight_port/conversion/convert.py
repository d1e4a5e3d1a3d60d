"""From one dialect to another: check every key and shape, ask the guard, rename and transpose."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from weight_port import arch
from weight_port.conversion import casts, guard, numbers
from weight_port.conversion import fold as folding
from weight_port.conversion.check import check
from weight_port.conversion.detect import Detection, check_dialect
from weight_port.conversion.guard import Difference
from weight_port.conversion.recognise import recognise
from weight_port.conversion.rest import KEEP, check_rest, placed
from weight_port.dialects.keys import DIALECTS, Key, extra_name, keys
from weight_port.errors import MismatchError, PartWarning
from weight_port.storage.buffers import own

Scheme = dict[str, tuple[np.ndarray, tuple[int, ...]]]  # by Key.name: array, order of its axes


class Converted(dict[str, np.ndarray]):
    """Tensors by the target's names, and what its models will do otherwise than the source's."""

    def __init__(
        self,
        tensors: Mapping[str, np.ndarray],
        architecture: str,
        differences: tuple[Difference, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(tensors)
        self.architecture = architecture  # what the weights are of
        self.differences = differences
        self.notes = notes  # what was taken, and what was left out

    @property
    def mismatches(self) -> tuple[Difference, ...]:
        """The differences that change the output; there only with ``allow_mismatch``."""
        return tuple(item for item in self.differences if item.kind != guard.USE)


def convert(
    tensors: Mapping[str, np.ndarray],
    to: str,
    source: str | None = None,
    include_top: bool = True,
    fold: bool = False,
    allow_mismatch: bool = False,
    architecture: str | None = None,
    *,
    prefix: str | None = None,
    drop: Sequence[str] = (),
    rest: str | None = None,
    to_prefix: str | None = None,
) -> Converted:
    """The same weights under the names and in the layout of the dialect ``to``.

    Shapes and dtypes are kept, but for weights whose axes stand otherwise in the two conventions:
    they are transposed by layer, never by shape. ``num_batches_tracked`` is kept (in int64), made
    (zero) or dropped as ``to`` needs; biases of zero and a factor of one are made; Caffe's factor
    is divided out. ``include_top=False`` leaves the classifier out, in whatever form it is there.
    ``source`` and ``architecture`` name what is otherwise detected. Arrays may be views of the
    input's.

    The network may stand behind a prefix and beside other tensors: ``prefix`` says which is meant
    where there are several, ``drop`` has globs of names to leave out. ``rest="keep"`` keeps the
    other tensors as they are, the network behind ``to_prefix`` or behind its own prefix;
    ``rest="drop"`` leaves them out, and so does no word, with a PartWarning. The result's
    ``notes`` say what was left.

    ``fold=True`` merges convolutions' biases and another epsilon into the batch norms, and dropout
    that scales in evaluation into the linear layers: exact there, up to one rounding. Where ``to``
    projects in the first block and the source doesn't, a projection is made that changes nothing.
    ``allow_mismatch=True`` converts to a model that computes something else, and the result's
    ``mismatches`` say what.

    Raises DialectError where the dialect is unknown or unclear, MismatchError where a key or a
    shape is not the architecture's, or where ``to`` has no model that computes the same; nothing
    is returned then.
    """
    check_rest(rest)
    alone = rest is not None
    network = recognise(tensors, source, architecture, prefix=prefix, drop=drop, alone=alone)
    converted = convert_detected(
        network.tensors, to, network.detection, include_top, fold, allow_mismatch
    )
    if network.others and rest is None:
        warnings.warn("; ".join(network.notes), PartWarning, stacklevel=2)
    kept = network.others if rest == KEEP else {}
    if to_prefix is None:
        to_prefix = network.prefix if rest == KEEP else ""
    return Converted(
        placed(converted, to_prefix, kept),
        converted.architecture,
        converted.differences,
        network.notes,
    )


def convert_detected(
    tensors: Mapping[str, np.ndarray],
    to: str,
    detection: Detection,
    include_top: bool = True,
    fold: bool = False,
    allow_mismatch: bool = False,
) -> Converted:
    """As ``convert``, of a network's own tensors, which ``detect`` has seen."""
    check_dialect(to)
    include_top = _has_top(tensors, detection, to, include_top)
    # Where the target has no such network, that is said before the keys are looked at.
    guard.differences(detection.dialect, detection.architecture, to)
    check(tensors, detection, include_top)
    left = guard.permit(
        detection.dialect,
        detection.architecture,
        to,
        twins=detection.twins,
        biased=_is_biased(tensors, detection),
        fold=fold,
        allow_mismatch=allow_mismatch,
    )
    expected = detection.keys(include_top)
    scheme = {
        entry.name: (tensors[key], entry.order) for key, entry in expected.items() if key in tensors
    }
    architecture = guard.destination(detection.architecture, to) or detection.architecture
    target = keys(to, architecture, include_top=include_top, **detection.sizes)
    _merge(scheme, detection, to, fold)
    _project(scheme, target, DIALECTS[to].epsilon)
    converted = {
        key: _tensor(entry, scheme)
        for key, entry in target.items()
        if entry.role != "counter" or DIALECTS[to].writes_counters
    }
    if fold:
        numbers.refuse(converted, target)
    kept = guard.nearest(detection.architecture, to) is not None  # no projection was made
    return Converted(converted, detection.architecture if kept else architecture, left)


def _has_top(
    tensors: Mapping[str, np.ndarray], detection: Detection, to: str, include_top: bool
) -> bool:
    """Whether the result has a classifier: where one is asked for, and there.

    Raises MismatchError for one that would be lost unasked: ``to`` has no place for it, or it is no
    single linear layer.
    """
    if not include_top:
        return False
    if detection.include_top and DIALECTS[to].linear is None:
        raise MismatchError(
            f"a model in {to} ends at its feature map: pass --no-top (include_top=False) for the "
            "backbone alone"
        )
    if detection.include_top:
        return True
    if head := detection.other_head(tensors):
        some = ", ".join(f"{key} {list(tensors[key].shape)}" for key in head[:4])
        raise MismatchError(
            f"its classifier is not that of {detection.architecture} in {detection.dialect}: "
            f"{some}; pass --no-top (include_top=False) to leave it out"
        )
    return False


def _is_biased(tensors: Mapping[str, np.ndarray], detection: Detection) -> bool:
    return any(
        entry.role == "bias" and tensors[key].any() for key, entry in detection.keys().items()
    )


def _merge(scheme: Scheme, detection: Detection, to: str, fold: bool) -> None:
    """Put Caffe's factors and, to be folded, what the guard calls so into other tensors."""
    if detection.dialect == to:
        return
    layers = arch.layers(detection.architecture, **detection.sizes)
    target = keys(to, detection.architecture, **detection.sizes)
    kept = {entry.name for entry in target.values() if entry.role == "bias"}
    for before, layer in pairwise(layers):
        if layer.kind == "batch_norm":
            _merge_norm(scheme, detection.dialect, to, before, layer, kept, fold)
        elif layer.kind == "linear" and fold and before.dropout:
            _merge_dropout(scheme, detection, to, layer, before.dropout)


def _merge_dropout(
    scheme: Scheme, detection: Detection, to: str, layer: arch.Layer, dropout: float
) -> None:
    """Scale a linear layer's weights where dropout before it scales in one of the two dialects."""
    here, there = (
        detection.architecture in DIALECTS[side].scaled for side in (detection.dialect, to)
    )
    if here != there:
        share = 1 - dropout if here else 1 / (1 - dropout)
        name = layer.parameters[0].name
        if name in scheme:
            array, order = scheme[name]
            scheme[name] = (folding.scaled(own(array), share), order)


def _merge_norm(
    scheme: Scheme,
    source: str,
    to: str,
    conv: arch.Layer,
    norm: arch.Layer,
    kept: Container[str],
    fold: bool,
) -> None:
    """Put a factor and, to be folded, a bias and another epsilon into a batch norm."""
    epsilons = (DIALECTS[source].epsilon, DIALECTS[to].epsilon)
    factor = scheme.pop(extra_name(norm.name, "factor"), None)
    if factor:
        for role in ("mean", "variance"):
            _change(scheme, f"{norm.name}_{role}", folding.without_factor, factor[0])
    bias = scheme.get(extra_name(conv.name, "bias"))
    if fold and bias and extra_name(conv.name, "bias") not in kept:
        _change(scheme, f"{norm.name}_mean", folding.without_bias, bias[0])
    if fold and epsilons[0] != epsilons[1]:
        variance = scheme[f"{norm.name}_variance"][0]
        _change(scheme, f"{norm.name}_scale", folding.with_epsilon, variance, *epsilons)


def _project(scheme: Scheme, target: Mapping[str, Key], epsilon: float) -> None:
    """Make the first block's projection where only the target has one."""
    layers = ("res2a_branch1", "bn2a_branch1")
    missing = [e for e in target.values() if e.layer in layers and e.parameter]
    if not missing or missing[0].name in scheme:
        return
    convolution, norm = (
        scheme[name][0].dtype for name in ("res2a_branch2a_weights", "bn2a_branch2a_scale")
    )
    width = missing[0].sizes[0]
    tensors = folding.identity_projection(width, epsilon, convolution, norm)
    scheme.update({entry.name: (tensors[entry.role], ()) for entry in missing})


def _change(
    scheme: Scheme, name: str, function: Callable[..., np.ndarray], *arguments: object
) -> None:
    before = scheme[name][0]
    values = (before, *arguments)
    copies = (own(value) if isinstance(value, np.ndarray) else value for value in values)
    with np.errstate(all="ignore"):  # the result is looked at
        after = function(*copies)
    if numbers.is_finite(before) and not numbers.is_finite(after):
        raise MismatchError(
            f"{name}: merged with what the target has no place for, its numbers would not be "
            f"finite in {before.dtype}: a variance below 0, or numbers too large for it; get a "
            "sound file, or one in a wider dtype"
        )
    scheme[name] = (after, ())


def _tensor(entry: Key, scheme: Scheme) -> np.ndarray:
    """The tensor behind a key of the target, made where only the target has it."""
    if entry.name not in scheme:  # check() saw to the scheme's own
        dtype = np.int64 if entry.role == "counter" else next(iter(scheme.values()))[0].dtype
        return np.full(entry.shape, 1 if entry.role == "factor" else 0, dtype=dtype)
    array, order = scheme[entry.name]
    if entry.role == "counter":
        return casts.counter(array, entry.name)
    if order == entry.order:
        return array
    plain = array.transpose(np.argsort(order)) if order else array
    return plain.transpose(entry.order) if entry.order else plain


def parameter_names(
    to: str, converted: Iterable[str], detection: Detection
) -> dict[str, str] | None:
    """Paddle's table from structured names to ``Parameter.name``, for our own Paddle models.

    None for other dialects: their parameters are numbered as they are created.
    """
    if to != "paddle_impl":
        return None
    architecture = guard.destination(detection.architecture, to) or detection.architecture
    entries = keys(to, architecture, **detection.sizes)
    return {key: entries[key].name for key in converted}
