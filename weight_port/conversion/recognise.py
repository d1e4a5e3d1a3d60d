"""Under which names a checkpoint's tensors are looked at: the file's, or what stands behind them.

A file may hold the same state dict under a wrapper's names: ``module.`` is
``torch.nn.DataParallel``'s, ``_orig_mod.`` ``torch.compile``'s, ``backbone.`` that of detectors and
self-supervised trainers around the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from weight_port.conversion.check import check
from weight_port.conversion.detect import Detection, detect
from weight_port.errors import DialectError, MismatchError
from weight_port.formats.contents import Contents, Tensors

PREFIXES = ("module.", "_orig_mod.", "backbone.")


@dataclass(frozen=True)
class Recognised:
    """A network found in a file: the tensors under the names that were recognised."""

    found: Detection
    tensors: Tensors
    notes: tuple[str, ...]  # what was done to the names


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
    if contents.structured:
        named = {contents.structured[name]: array for name, array in contents.tensors.items()}
        yield named, ("recognised by the layers' names, not the variables'",)
    yield contents.tensors, ()
    stripped, taken = strip_prefixes(contents.tensors)
    if taken:
        yield stripped, (f"prefix {taken!r} taken off every name",)


def _as_said(found: Detection, said: str) -> Detection:
    """Of networks that no tensor tells apart, the one that the file's metadata names.

    The usual one stays in doubt where it is named: a converter that was told nothing names it too.
    """
    if said not in found.twins:
        return found
    reason = f"{found.reason}; it says that it is {said}, which has the same"
    return replace(found, architecture=said, twins=(), reason=reason)


def recognise(
    contents: Contents, dialect: str | None = None, architecture: str | None = None
) -> Recognised:
    """The network in a file, under the first of its names that fit one in full, else at all.

    ``dialect`` and ``architecture`` limit the choice to one each; without the latter, the file's
    metadata choose among networks with the same tensors. Raises DialectError, of the likeliest
    names, where none do.
    """
    seen: list[Recognised] = []
    errors: list[DialectError] = []
    for tensors, notes in _views(contents):
        try:
            found = _as_said(detect(tensors, dialect, architecture), contents.architecture)
            view = Recognised(found, tensors, notes)
            seen.append(view)
            check(tensors, view.found, view.found.include_top)
            return view
        except DialectError as error:
            errors.append(error)
        except MismatchError:
            continue
    if seen:
        return seen[0]
    raise errors[0]
