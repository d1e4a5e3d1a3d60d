"""What a set of tensors is: its dialect, architecture and sizes, read off keys and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from weight_port.arch import ARCHITECTURES, Sizes, sizes_of
from weight_port.conversion import candidates, strangers, twins
from weight_port.conversion.candidates import Arrays, Candidate
from weight_port.dialects import lookalikes
from weight_port.dialects.keys import COUNTER, DIALECTS, Key, head_modules, keys
from weight_port.dialects.lookalikes import Lookalike
from weight_port.errors import DialectError
from weight_port.parts.prefixes import modules

ENOUGH = 0.5  # share of keys that must fit before a file is called a damaged X, not "unknown"


@dataclass(frozen=True)
class Detection:
    """What a set of tensors is, read off its keys and shapes."""

    dialect: str
    architecture: str
    num_classes: int | None  # None: there is no classifier
    in_channels: int
    include_top: bool  # a classifier is there
    hidden: int  # width of its hidden layers; 0: it has none
    reason: str
    aliases: tuple[str, ...] = ()  # dialects that give this network the same keys
    twins: tuple[str, ...] = ()  # architectures with the same keys and shapes in this dialect
    lookalikes: tuple[Lookalike, ...] = ()  # the same of networks that the suite has not

    @property
    def sizes(self) -> Sizes:
        """What the row leaves open, as ``arch.layers`` takes it; its classes where none are."""
        return sizes_of(self.architecture, self.num_classes, self.in_channels, self.hidden)

    def keys(self, include_top: bool | None = None) -> Mapping[str, Key]:
        """The keys that a complete file of this kind has."""
        top = self.include_top if include_top is None else include_top
        return keys(self.dialect, self.architecture, include_top=top, **self.sizes)

    @property
    def head(self) -> tuple[str, ...]:
        """What the names of the classifier begin with, in whatever form it stands there."""
        return head_modules(self.dialect, self.architecture)

    def other_head(self, tensors: Arrays) -> list[str]:
        """The names of a classifier that is not the network's own linear layer."""
        known = self.keys(True)
        return [key for key in tensors if key not in known and key.startswith(self.head)]

    def holds(self, name: str) -> bool:
        """Whether a name stands in one of the network's modules, its own or not."""
        return modules(self.dialect, self.architecture).hold(name)

    @property
    def undecided(self) -> str:
        """What the tensors leave open, in a sentence; "" for nothing."""
        return "; ".join(twins.lines(self))


def check_dialect(name: str) -> None:
    """Raises DialectError, which lists the dialects, for a name that is none of them."""
    if name not in DIALECTS:
        raise DialectError(f"unknown dialect {name!r}: one of {', '.join(DIALECTS)}")


def check_question(dialect: str | None, architecture: str | None) -> None:
    """Raises DialectError for a dialect or an architecture that is not in its table."""
    if dialect is not None:
        check_dialect(dialect)
    if architecture is not None and architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise DialectError(f"unknown architecture {architecture!r}: one of {known}")


def detect(
    tensors: Arrays, dialect: str | None = None, architecture: str | None = None
) -> Detection:
    """The dialect and architecture that the keys and shapes fit best.

    ``dialect`` and ``architecture`` limit the choice to one each. The fit need not be perfect
    (``check`` says what is wrong). Of architectures with the same tensors, and of dialects with the
    same names, the first of the table is taken and the others are listed (``undecided``). Raises
    DialectError where nothing fits half, where shapes or blocks are those of another network
    though names fit, or where two unlike ones fit equally well.
    """
    check_question(dialect, architecture)
    winners = candidates.best(tensors, dialect, architecture)
    detections = [_detection(winner) for winner in winners]
    share = -winners[0].rank[0] if winners else 0.0
    stranger = architecture is None and all(strangers.another(tensors, d) for d in detections)
    if share < ENOUGH or stranger:
        raise strangers.unrecognised(tensors, dialect, detections, share)
    distinct: list[Detection] = []
    for detection in detections:
        # Without a classifier and batch norms two frameworks' files can be the very same.
        if all(detection.keys() != other.keys() for other in distinct):
            distinct.append(detection)
    if len(distinct) > 1:
        both = " and ".join(f"{one.architecture} in {one.dialect}" for one in distinct)
        raise DialectError(f"the names fit {both} equally well; {_way_out(tensors, distinct)}")
    first, *others = detections
    first = replace(first, aliases=tuple(other.dialect for other in others))
    return first if architecture else _with_twins(first, tensors)


def _with_twins(detection: Detection, tensors: Arrays) -> Detection:
    """With all that the tensors can be instead of the network that was taken."""
    dialect, name = detection.dialect, detection.architecture
    counted = any(key.endswith(COUNTER) for key in tensors)
    return replace(
        detection,
        twins=candidates.alike(dialect, name)[1:],
        lookalikes=lookalikes.of(dialect, ARCHITECTURES[name], counted),
    )


def _detection(candidate: Candidate) -> Detection:
    dialect, name = candidate.dialect, candidate.architecture
    hits, count = candidate.names
    reason = f"{hits} of its {count} names are those of {name} in {dialect}"
    top, sizes = candidate.include_top, candidate.sizes
    classes = sizes["num_classes"] if top else None
    channels, hidden = sizes["in_channels"], sizes["hidden"]
    return Detection(dialect, name, classes, channels, top, hidden, reason)


def _way_out(tensors: Arrays, distinct: list[Detection]) -> str:
    """How to choose between dialects, or what two networks of one dialect would be told by."""
    if len({detection.dialect for detection in distinct}) > 1:
        return "say which with --from (source=…)"
    one, other = distinct[0].keys(True), distinct[1].keys(True)
    both = {**other, **one}
    key = next(key for key in both if one.get(key) != other.get(key))
    state = f"is {list(tensors[key].shape)}" if key in tensors else "is missing"
    return (
        f"they differ in {key}  ({both[key].name}), which {state}: put it right, or say which with "
        "--architecture (architecture=…)"
    )
