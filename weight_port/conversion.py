"""From one dialect to another: detect, check every key and shape, then rename and transpose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from weight_port import arch
from weight_port.dialects import DIALECTS, Key, keys
from weight_port.errors import DialectError, MismatchError

_ENOUGH = 0.5  # share of keys that must fit before a file is called a damaged X, not "unknown"


@dataclass(frozen=True)
class Detection:
    """What a set of tensors is, read off its keys and shapes."""

    dialect: str
    architecture: str
    num_classes: int
    in_channels: int
    include_top: bool  # a classifier is there
    reason: str

    def keys(self, include_top: bool | None = None) -> dict[str, Key]:
        """The keys that a complete file of this kind has."""
        top = self.include_top if include_top is None else include_top
        return keys(self.dialect, self.architecture, self.num_classes, self.in_channels, top)


def _size(
    tensors: Mapping[str, np.ndarray], expected: Mapping[str, Key], name: str, axis: int, usual: int
) -> int:
    """Length of one axis of the tensor with a scheme name, ``usual`` where it is not there."""
    for key, entry in expected.items():
        if entry.name == name and key in tensors:
            shape = tensors[key].shape
            return int(shape[axis]) if len(shape) > axis and shape[axis] else usual
    return usual


def _candidate(
    tensors: Mapping[str, np.ndarray], dialect: str, name: str
) -> tuple[tuple[float, int], Detection]:
    """((share of keys that fit, minus the mis-shaped ones), what the file would be)."""
    usual = keys(dialect, name)
    classes = _size(tensors, usual, "fc_0.b_0", 0, 1000)
    channels = _size(tensors, usual, "conv1_weights", 1, 3)
    expected = keys(dialect, name, classes, channels)
    needed = {key for key, entry in expected.items() if entry.parameter}
    mine = {key for key in tensors if key not in expected or expected[key].parameter}
    hits = needed & mine
    wrong = sum(tensors[key].shape != expected[key].shape for key in hits)
    top = any(expected[key].layer == "fc" for key in hits)
    reason = f"{len(hits)} of its {len(mine)} names are those of {name} in {dialect}"
    score = (len(hits) / max(1, len(needed | mine)), -wrong)
    return score, Detection(dialect, name, classes, channels, top, reason)


def _check_dialect(name: str) -> None:
    if name not in DIALECTS:
        raise DialectError(f"unknown dialect {name!r}: one of {', '.join(DIALECTS)}")


def detect(tensors: Mapping[str, np.ndarray], dialect: str | None = None) -> Detection:
    """The dialect and architecture that the keys and shapes fit best.

    ``dialect`` limits the choice to one. The fit need not be perfect (``check`` says what is
    wrong). Raises DialectError where nothing fits half, or where two fit equally well.
    """
    if dialect is not None:
        _check_dialect(dialect)
    choice = [dialect] if dialect else list(DIALECTS)
    found = [_candidate(tensors, row, name) for row in choice for name in arch.ARCHITECTURES]
    best = max(score for score, _ in found)
    winners = [detection for score, detection in found if score == best]
    if best[0] < _ENOUGH:
        some = ", ".join(list(tensors)[:4]) or "none at all"
        nearest = "; ".join(winner.reason for winner in winners) if best[0] else "none of them"
        raise DialectError(
            f"the names fit no ResNet in {' or '.join(choice)} (nearest: {nearest}); the first "
            f"names are {some}"
        )
    if len(winners) > 1:
        both = " and ".join(f"{w.architecture} in {w.dialect}" for w in winners)
        raise DialectError(f"the names fit {both} equally well; say which with --from (source=…)")
    return winners[0]


def check(
    tensors: Mapping[str, np.ndarray], detection: Detection, include_top: bool = True
) -> None:
    """Raises MismatchError that lists missing, unexpected, mis-shaped and non-float tensors."""
    expected = detection.keys(include_top)
    # With include_top=False the classifier is left behind on purpose, so it is not unexpected.
    known = detection.keys(True)
    optional = {key for key, entry in known.items() if entry.parameter is None}
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
            if key not in known
        ],
        "mis-shaped": [
            f"~ {key}  ({expected[key].name})  is {list(tensors[key].shape)}, "
            f"should be {list(expected[key].shape)}{_transposed(tensors[key], expected[key])}"
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
            lines += [f"  {title} ({len(entries)}):", *(f"    {entry}" for entry in entries)]
    if include_top and not detection.include_top:
        lines.append(
            "  There is no classifier: pass --no-top (include_top=False) for the backbone alone."
        )
    raise MismatchError("\n".join(lines))


def _transposed(array: np.ndarray, entry: Key) -> str:
    linear = entry.parameter is not None and entry.parameter.role == "linear_weight"
    if linear and array.shape == entry.shape[::-1]:
        return ": it stands the other way round, as in the other framework; transpose it first"
    return ""


def is_float(dtype: np.dtype) -> bool:
    """Floating point, bfloat16 (which NumPy counts as a void type) included."""
    return dtype.kind == "f" or dtype.name == "bfloat16"


def convert(
    tensors: Mapping[str, np.ndarray],
    to: str,
    source: str | None = None,
    include_top: bool = True,
) -> dict[str, np.ndarray]:
    """The same weights under the names and in the layout of the dialect ``to``.

    Shapes and dtypes are kept, but for linear weights, which are transposed where the
    conventions differ: by layer, never by shape. ``num_batches_tracked`` is kept, made (int64
    zero) or dropped as ``to`` needs. ``include_top=False`` leaves the classifier out. ``source``
    names the dialect instead of detecting it. Arrays may be views of the input's.

    Raises DialectError where the dialect is unknown or unclear, MismatchError where a key or a
    shape is not the architecture's or ``to`` has no such network; nothing is returned then.
    """
    return convert_detected(tensors, to, detect(tensors, source), include_top)


def _check_form(name: str, to: str) -> None:
    """Raises MismatchError where the library behind ``to`` has no such network."""
    if arch.architecture(name).first_projection and not DIALECTS[to].first_projection:
        holders = ", ".join(row.name for row in DIALECTS.values() if row.first_projection)
        raise MismatchError(
            f"{name} has a projection in its first block (res2a_branch1), as PaddleClas builds it; "
            f"no model in {to} has one there. It is another network; these can hold it: {holders}"
        )


def convert_detected(
    tensors: Mapping[str, np.ndarray], to: str, found: Detection, include_top: bool = True
) -> dict[str, np.ndarray]:
    """As ``convert``, of tensors that ``detect`` has seen."""
    _check_dialect(to)
    _check_form(found.architecture, to)
    check(tensors, found, include_top)
    by_name = {
        entry.name: (key, entry) for key, entry in found.keys(include_top).items() if key in tensors
    }
    target = keys(to, found.architecture, found.num_classes, found.in_channels, include_top)
    converted = {}
    for key, entry in target.items():
        if entry.name not in by_name:  # only the counter may be missing: check() saw to the rest
            converted[key] = np.zeros((), dtype=np.int64)
            continue
        origin, before = by_name[entry.name]
        array = tensors[origin]
        converted[key] = array.T if before.transposed != entry.transposed else array
    return converted


def parameter_names(to: str, converted: Iterable[str], found: Detection) -> dict[str, str] | None:
    """Paddle's table from structured names to ``Parameter.name``, for our own Paddle models.

    None for other dialects: their parameters are numbered as they are created.
    """
    if to != "paddle_impl":
        return None
    entries = keys(to, found.architecture, found.num_classes, found.in_channels)
    return {key: entries[key].name for key in converted}
