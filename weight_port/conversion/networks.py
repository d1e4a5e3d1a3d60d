"""The networks in a file, each under its prefix, and which of them is meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from weight_port.conversion import candidates
from weight_port.conversion.check import check
from weight_port.conversion.detect import ENOUGH, Detection, detect
from weight_port.conversion.strangers import Unrecognised
from weight_port.dialects.keys import COUNTER
from weight_port.errors import DialectError, MismatchError
from weight_port.formats.contents import Tensors
from weight_port.parts.others import quoted
from weight_port.parts.prefixes import Place, modules, places
from weight_port.parts.wrappers import is_known


@dataclass(frozen=True)
class Part:
    """A network among a file's tensors: where it stands, what it is, and its tensors."""

    prefix: str
    detection: Detection
    tensors: Tensors  # by the network's own names, without the prefix
    complete: bool
    beside: tuple[str, ...] = ()  # names behind the prefix, in modules that are not the network's
    needless: int = 0  # batch counters that the dialect has no place for, left out

    @property
    def names(self) -> frozenset[str]:
        """The file's names of its tensors."""
        return frozenset(self.prefix + name for name in self.tensors)

    def __str__(self) -> str:
        detection = self.detection
        where = f"{detection.dialect} {_where(self.prefix)}".rstrip()
        return f"{detection.architecture} in {where} ({len(self.tensors)})"


def _where(prefix: str, end: str = "") -> str:
    return f"under {quoted(prefix)}{end}" if prefix else ""


def find(
    tensors: Tensors, dialect: str | None, architecture: str | None, alone: bool
) -> tuple[list[Part], list[DialectError]]:
    """Every network that stands among the tensors, and why others were none.

    A network with its classifier, and in the same module other tensors, may be a part of another
    network: unless ``alone`` says that it is not, those tensors are taken for its own, which makes
    it incomplete.
    """
    parts: list[Part] = []
    errors: list[DialectError] = []
    for place in places(tensors):
        own, beside = _split(place, tensors)
        if candidates.bound(own, dialect, architecture) < ENOUGH:
            continue
        try:
            part = _part(place.prefix, own, beside, dialect, architecture)
            # Cut by another dialect's modules, a network has lost its classifier.
            if modules(part.detection.dialect, part.detection.architecture) == place.modules:
                parts.append(part)
        except DialectError as error:
            error.args = (f"{_where(place.prefix, ' ')}{error}",)
            if isinstance(error, Unrecognised):  # of all names, not of the few behind a prefix
                error.share *= len(place.names) / len(tensors)
            errors.append(error)
    parts = list(_unlike(parts))
    whole = [part for part in parts if part.complete]
    return [part if alone else _with_strangers(part, whole, tensors) for part in parts], errors


def _split(place: Place, tensors: Tensors) -> tuple[Tensors, tuple[str, ...]]:
    """The tensors behind a prefix in a network's modules, and the file's names of the others."""
    begin = len(place.prefix)  # in the file's order, which the place's names have not
    names = [name for name in tensors if name.startswith(place.prefix)]
    own = [name for name in names if place.modules.hold(name[begin:])]
    inside = set(own)
    beside = tuple(name for name in names if name not in inside)
    return {name[begin:]: tensors[name] for name in own}, beside


def _part(
    prefix: str,
    own: Tensors,
    beside: tuple[str, ...],
    dialect: str | None,
    architecture: str | None,
) -> Part:
    """The network behind a prefix; raises DialectError where there is none."""
    detection = detect(own, dialect, architecture)
    own, needless = without_needless(own, detection)
    return Part(prefix, detection, own, is_complete(own, detection), beside, needless)


def without_needless(tensors: Tensors, detection: Detection) -> tuple[Tensors, int]:
    """The tensors but for batch counters under names that the dialect doesn't have; their count."""
    known = detection.keys(True)
    kept = {
        name: array
        for name, array in tensors.items()
        if name in known or not name.endswith(COUNTER)
    }
    return kept, len(tensors) - len(kept)


def is_complete(tensors: Tensors, detection: Detection) -> bool:
    """Whether ``check`` has nothing to say."""
    try:
        check(tensors, detection, detection.include_top)
    except MismatchError:
        return False
    return True


def _unlike(parts: list[Part]) -> Iterator[Part]:
    """The parts but for those within another, and of those with the same tensors the best."""
    kept: list[Part] = []
    # Of a file's `backbone.` names the prefix is said, though a dialect may have names that begin
    # so: that is the longer prefix, where no more tensors are told by the shorter.
    order = sorted(parts, key=lambda part: (-part.complete, -len(part.tensors), -len(part.prefix)))
    for part in order:
        if not any(part.names <= other.names for other in kept):
            kept.append(part)
            yield part


def _with_strangers(part: Part, whole: list[Part], tensors: Tensors) -> Part:
    """A part, to which tensors beside a network with its classifier belong until told otherwise."""
    if not part.detection.include_top:
        return part
    named = [other.names for other in whole if other is not part]
    strangers = [name for name in part.beside if not any(name in names for names in named)]
    if not strangers:
        return part
    more = {name[len(part.prefix) :]: tensors[name] for name in strangers}
    return replace(part, tensors={**part.tensors, **more}, complete=False)


def choose(parts: Iterable[Part]) -> Part | None:
    """The complete network that is meant, None where there is none; raises DialectError for two.

    Of several the one under a wrapper's prefix that is known is meant.
    """
    whole = [part for part in parts if part.complete]
    if len(whole) < 2:
        return whole[0] if whole else None
    known = [part for part in whole if is_known(part.prefix)]
    if len(known) == 1:
        return known[0]
    named = "; ".join(map(str, whole[:8])) + (" …" if len(whole) > 8 else "")
    raise DialectError(
        f"{len(whole)} networks are in it: {named}; say which with --prefix (prefix=…), "
        f"as in --prefix {whole[0].prefix or repr('')}"
    )


def fit(part: Part) -> float:
    """Which share of a network's names and shapes the tensors have, for one that is incomplete."""
    expected = part.detection.keys()
    hits = [key for key in expected if key in part.tensors]
    return sum(part.tensors[key].shape == expected[key].shape for key in hits) / len(expected)
