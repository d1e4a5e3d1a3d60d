"""Under which names a checkpoint's tensors are looked at: the file's, or what stands behind them.

A file may hold the same state dict under a wrapper's names: ``module.`` is
``torch.nn.DataParallel``'s, ``_orig_mod.`` ``torch.compile``'s, ``backbone.`` that of detectors and
self-supervised trainers around the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from weight_port.conversion.check import check
from weight_port.conversion.detect import Detection, detect
from weight_port.errors import DialectError, MismatchError
from weight_port.formats.contents import Contents, Tensors
from weight_port.formats.files import Checkpoint, open_checkpoint

PREFIXES = (
    "module.",
    "_orig_mod.",
    "backbone.",
    "model.",
    "net.",
    "network.",
    "encoder.",
    "resnet.",
)
# Counters that github.com/Lyken17/pytorch-OpCounter (thop) leaves in a network that it measured.
_THOP = ("total_ops", "total_params")


@dataclass(frozen=True)
class Recognised:
    """The network in a file: what it is, and its tensors under the names that say so."""

    detection: Detection
    tensors: Tensors
    notes: tuple[str, ...]  # what was done to the names
    contents: Contents  # as the file has them, with its own notes and what its metadata say


def strip_prefixes(tensors: Tensors) -> tuple[Tensors, str]:
    """The tensors without the wrappers' prefixes that all of their names have, and those."""
    taken = ""
    while tensors:
        prefix = next((p for p in PREFIXES if all(key.startswith(p) for key in tensors)), None)
        if prefix is None or any(key == prefix for key in tensors):
            break
        tensors = {key.removeprefix(prefix): array for key, array in tensors.items()}
        taken += prefix
    return tensors, taken


def _views(contents: Contents) -> Iterator[tuple[Tensors, tuple[str, ...]]]:
    """The tensors under every set of names that they have, the likeliest first."""
    tensors = {k: a for k, a in contents.tensors.items() if k.rpartition(".")[2] not in _THOP}
    counters = len(contents.tensors) - len(tensors)
    thop = (f"left out {counters} counters of thop (total_ops, total_params)",) * bool(counters)
    if contents.structured:
        named = {contents.structured[name]: array for name, array in contents.tensors.items()}
        yield named, ("recognised by the layers' names, not the variables'",)
    yield tensors, thop
    stripped, taken = strip_prefixes(tensors)
    if taken:
        yield stripped, (*thop, f"prefix {taken!r} taken off every name")


def _as_named(detection: Detection, name: str) -> Detection:
    """Of networks that no tensor tells apart, the one that the file's metadata name.

    The usual one stays in doubt where it is named: a converter that was told nothing names it too.
    """
    if name not in detection.twins:
        return detection
    reason = f"{detection.reason}; it says that it is {name}, which has the same"
    return replace(detection, architecture=name, twins=(), lookalikes=(), reason=reason)


def recognise(
    source: str | Path | Mapping[str, np.ndarray] | Contents,
    dialect: str | None = None,
    architecture: str | None = None,
) -> Recognised:
    """What a checkpoint, or a set of tensors by their names, is: the network, and its tensors.

    A file may be of any format that ``read`` takes. It is looked at under the names that it has
    and under those behind them (a wrapper's prefix taken off, the layers' names instead of the
    variables'): the first that fit a network in full count, else those that fit one at all. The
    tensors need not be complete: ``check`` says what is missing. ``dialect`` and ``architecture``
    limit the choice to one each; without the latter, the file's metadata choose among networks with
    the same tensors. Raises DialectError, of the likeliest names, where none fit, and for a path
    FormatError as ``read`` does.
    """
    if isinstance(source, (str, Path)):
        return recognise_checkpoint(open_checkpoint(source), dialect, architecture)
    contents = source if isinstance(source, Contents) else Contents(dict(source))
    views: list[Recognised] = []
    errors: list[DialectError] = []
    for tensors, notes in _views(contents):
        try:
            detection = _as_named(detect(tensors, dialect, architecture), contents.architecture)
            view = Recognised(detection, tensors, notes, contents)
            views.append(view)
            check(tensors, detection, detection.include_top)
            return view
        except DialectError as error:
            errors.append(error)
        except MismatchError:
            continue
    if views:
        return views[0]
    raise errors[0]


def recognise_checkpoint(
    checkpoint: Checkpoint, dialect: str | None = None, architecture: str | None = None
) -> Recognised:
    """As ``recognise``, of a file that is open; the error says which."""
    try:
        return recognise(checkpoint.contents, dialect, architecture)
    except DialectError as error:
        raise DialectError(f"{checkpoint.where}: {error}{_exported(checkpoint.contents)}") from None


def _exported(contents: Contents) -> str:
    """What to say of an inference model in which no network was found."""
    if contents.linear is None:
        return ""
    return (
        ". It is an exported inference model, in which Paddle has fused or renamed layers: take "
        "the training checkpoint (…_pretrained.pdparams), or keep the names with --to raw"
    )
