"""What a set of tensors is: its dialect, architecture and sizes, read off keys and shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from weight_port.arch import ARCHITECTURES, Sizes, layers, sizes_of
from weight_port.conversion import candidates, twins
from weight_port.conversion.candidates import Arrays, Candidate
from weight_port.dialects import lookalikes
from weight_port.dialects.keys import COUNTER, DIALECTS, Key, head_modules, keys
from weight_port.dialects.lookalikes import Lookalike
from weight_port.errors import DialectError
from weight_port.parts.prefixes import modules

_ENOUGH = 0.5  # share of keys that must fit before a file is called a damaged X, not "unknown"
_BLOCK = 10  # names that the smallest block has: as many others make another network


class Unrecognised(DialectError):
    """The tensors are no network's; ``share`` of the nearest one's names fit."""

    share = 0.0


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
    if dialect is not None:
        check_dialect(dialect)
    if architecture is not None and architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise DialectError(f"unknown architecture {architecture!r}: one of {known}")
    winners = candidates.best(tensors, dialect, architecture)
    detections = [_detection(winner) for winner in winners]
    share = -winners[0].rank[0] if winners else 0.0
    stranger = architecture is None and all(_another(tensors, one) for one in detections)
    if share < _ENOUGH or stranger:
        raise _unknown(tensors, dialect, detections, share)
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
        twins=tuple(candidates.alike(dialect, name)[1:]),
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


def _another(tensors: Arrays, detection: Detection) -> str:
    """Why the tensors are another network's though many names fit; "" where they may be damaged.

    Shapes overrule names, and blocks of their own do: more of them make another depth.
    """
    expected = detection.keys(True)
    known = [key for key in expected if key in tensors]
    bent = [key for key in known if tensors[key].shape != expected[key].shape]
    if 2 * len(bent) >= len(known):
        key = bent[0]
        return (
            f"{len(bent)} of these have other shapes: {key} is {list(tensors[key].shape)}, there "
            f"{list(expected[key].shape)}"
        )
    head = detection.head
    strange = [
        key
        for key in tensors
        if key not in expected and detection.holds(key) and not key.startswith(head)
    ]
    counted = any(key.endswith(COUNTER) for key in expected)
    strange = [key for key in strange if counted or not key.endswith(COUNTER)]
    if len(strange) >= _BLOCK:
        return f"{len(strange)} names in its modules are not its own, as {strange[0]}"
    return _other_depth(tensors, detection)


def _other_depth(tensors: Arrays, detection: Detection) -> str:
    """That nothing is missing but the last blocks of stages before the end; "" where it is not so.

    A file that was cut off lacks its end.
    """
    entries = {key: e for key, e in detection.keys().items() if e.role != "counter"}
    blocks = {layer.name: layer.block for layer in layers(detection.architecture) if layer.block}
    wanted: Counter[tuple[int, int]] = Counter()
    here: Counter[tuple[int, int]] = Counter()
    for key, entry in entries.items():
        block = blocks.get(entry.layer)
        place = (block.stage, block.index) if block else (0, 0)
        wanted[place] += 1
        here[place] += key in tensors
    gone = [place for place in wanted if not here[place]]
    parts = [place for place in wanted if 0 < here[place] < wanted[place]]
    after = [place for place in here if here[place] and gone and place > gone[0]]
    counts = Counter(stage for stage, _ in wanted if stage)
    left = Counter(stage for stage, index in wanted if stage and here[stage, index])
    last = all(
        (stage, index + 1) not in wanted or (stage, index + 1) in gone for stage, index in gone
    )
    if (
        not gone
        or parts
        or not last
        or not (after or detection.include_top)
        or len(left) < len(counts)
    ):
        return ""
    theirs, ours = (", ".join(map(str, c.values())) for c in (left, counts))
    return f"its stages have {theirs} blocks, not {ours}"


def _unknown(
    tensors: Arrays, dialect: str | None, nearest: list[Detection], share: float
) -> Unrecognised:
    some = ", ".join(list(tensors)[:4]) or "none at all"
    reasons = []
    for detection in nearest:
        why_not = _another(tensors, detection) or _lacking(tensors, detection)
        reasons.append(f"{detection.reason}, but {why_not}")
    error = Unrecognised(
        f"the names fit no network in {dialect or ' or '.join(DIALECTS)} (nearest: "
        f"{'; '.join(reasons) or 'none of them'}); the first names are {some}"
    )
    error.share = share
    return error


def _lacking(tensors: Arrays, detection: Detection) -> str:
    expected = detection.keys()
    missing = [key for key in expected if key not in tensors]
    return f"{len(missing)} of that network's {len(expected)} are missing" + (
        f", as {missing[0]}" if missing else ""
    )


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
