"""What a state dict can't show: where two dialects' models compute different things, and why.

Names and shapes can match in full while the outputs differ. What is known of each library's
models stands in the rows of ``arch`` and ``dialects.rows``; here they are compared. Standard
library only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from weight_port.arch import POOLS, Classic, Row, architecture
from weight_port.dialects.rows import DIALECTS, Dialect
from weight_port.errors import MismatchError

FUNCTION = "function"  # the target's models compute something else
FOLD = "fold"  # they do not, once the difference is folded into the batch norms
USE = "use"  # the network is the same; what is fed to it or read from it may not be

SCALING = "pass fold=True (--fold): the linear layers' weights take it up"
FOLDING = "pass fold=True (--fold): the batch norms take it up, exactly so in evaluation"


@dataclass(frozen=True)
class Difference:
    """One thing that the models behind two dialects do differently."""

    subject: str
    source: str
    target: str
    kind: str  # FUNCTION, FOLD or USE
    remedy: str

    def __str__(self) -> str:
        if not self.source:
            return f"{self.subject}: {self.target}"
        return f"{self.subject}: {self.source} in the source, {self.target} in the target"


@dataclass(frozen=True)
class _Trait:
    subject: str
    kind: str
    of: Callable[[Dialect, Row], str]  # "": nothing is said about it
    remedy: str
    of_target: bool = False  # it is said whatever the source is


def _stride(_: Dialect, row: Row) -> str:
    if not row.bottleneck:
        return ""
    return "in the 1x1 (branch2a)" if row.stride_in_1x1 else "in the 3x3 (branch2b)"


def _pool(_: Dialect, row: Row) -> str:
    if isinstance(row, Classic):
        return ""
    if row.cifar:
        return "none"
    return f"{row.pool1} (112 pixels become {POOLS[row.pool1][2]})"


def _shortcuts(_: Dialect, row: Row) -> str:
    if isinstance(row, Classic):
        return ""
    return "projected after an average pool where they stride" if row.pooled else row.shortcuts


def _change(library: Dialect, row: Row) -> str:
    """The line of code without which the library's model doesn't hold the network."""
    return library.changed.get(row.name, "") and (
        f"it needs a projection more than {library.name} builds: {library.changed[row.name]}"
    )


def _padding(library: Dialect, row: Row) -> str:
    if isinstance(row, Classic) or row.cifar:
        return ""
    return library.padding or "a pixel on either side"


_NO_BIAS, _EVERY_BIAS = "none", "one in every convolution"


def _bias(library: Dialect, row: Row) -> str:
    if library.biased == "*":
        return _EVERY_BIAS
    return "one in conv1" if fnmatchcase(f"{row.name}/conv1", library.biased) else _NO_BIAS


def _kinds(row: Row) -> set[str]:
    return {step.kind for step in row.steps} if isinstance(row, Classic) else set()


def _local_norm(_: Dialect, row: Row) -> str:
    return "there" if "local_norm" in _kinds(row) else "none"


def _dropout(library: Dialect, row: Row) -> str:
    if row.name in library.scaled:
        return "scales what it lets through in evaluation, by the share that it keeps"
    return "scales in training, and does nothing in evaluation"


_OTHER_MODEL = "choose a dialect that holds the network, or build the target's model like this"
_TRAITS = (
    _Trait("stride of a bottleneck", FUNCTION, _stride, _OTHER_MODEL),
    _Trait("pool1", FUNCTION, _pool, _OTHER_MODEL),
    _Trait("padding of strided 3x3 windows", FUNCTION, _padding, _OTHER_MODEL),
    _Trait("shortcuts", FUNCTION, _shortcuts, _OTHER_MODEL),
    _Trait("activation", FUNCTION, lambda _, row: row.activation, _OTHER_MODEL),
    _Trait("local response normalisation", FUNCTION, _local_norm, _OTHER_MODEL),
    _Trait("the target's model", USE, _change, "change it so before it loads them", True),
    _Trait("dropout", FOLD, _dropout, SCALING),
    _Trait("bias", FOLD, _bias, FOLDING),
    _Trait("batch norm's epsilon", FOLD, lambda library, _: f"{library.epsilon:g}", FOLDING),
    _Trait("channel order", USE, lambda library, _: library.channels, "feed as the source says"),
    _Trait("images", USE, lambda library, _: library.normalisation, "feed as the source says"),
    _Trait("softmax", USE, lambda library, _: "at the end" if library.softmax else "none",
           "take the softmax of the logits, or leave it out"),
)  # fmt: skip


_PROJECTION = Difference(
    "shortcut of the first block",
    "no projection in its first block (res2a_branch1)",
    "one, a 1x1 convolution and its batch norm",
    FOLD,
    "pass fold=True (--fold): a projection is made that changes nothing, with ones on the diagonal",
)


def holders(name: str) -> tuple[str, ...]:
    """The dialects that hold an architecture."""
    return tuple(row.name for row in DIALECTS.values() if name in row.holds)


def nearest(name: str, to: str) -> str | None:
    """The architecture in ``to`` with the names and shapes of ``name``: itself, if it is there."""
    held = DIALECTS[to].holds
    same = [other for other in held if architecture(other).tensors == architecture(name).tensors]
    return name if name in held else next(iter(same), None)


def _projected(name: str, to: str) -> str | None:
    """The architecture in ``to`` that has a projection more than ``name``, in the first block."""
    row = architecture(name)
    if isinstance(row, Classic) or row.first_projection:
        return None
    form = replace(row, first_projection=True)
    rows = (architecture(held) for held in DIALECTS[to].holds)
    alike = (r for r in rows if (r.tensors, r.pooled) == (form.tensors, form.pooled))
    return next((r.name for r in alike if r.first_projection), None)


def destination(name: str, to: str) -> str | None:
    """The architecture in ``to`` that can compute what ``name`` does.

    ``nearest``, or else the one whose first block projects, which the identity can be too.
    """
    return nearest(name, to) or _projected(name, to)


def apart(dialect: str, name: str, twin: str) -> tuple[tuple[str, str, str], ...]:
    """(subject, what ``name`` does, what ``twin`` does) of all that the two compute otherwise."""
    library, ours, theirs = DIALECTS[dialect], architecture(name), architecture(twin)
    compared = (
        (trait.subject, trait.of(library, ours), trait.of(library, theirs))
        for trait in _TRAITS
        if trait.kind == FUNCTION
    )
    return tuple(item for item in compared if item[1] != item[2])


def differences(source: str, name: str, to: str) -> tuple[Difference, ...]:
    """What a model in ``to`` does otherwise with the weights of ``name`` in the dialect ``source``.

    Raises MismatchError where ``to`` has no network with these tensors at all.
    """
    target = destination(name, to)
    if target is None:
        raise MismatchError(_no_such_network(name, to))
    here = (DIALECTS[source], architecture(name))
    there = (DIALECTS[to], architecture(target))
    listed = [] if nearest(name, to) else [_PROJECTION]
    for trait in _TRAITS:
        before, after = trait.of(*here), trait.of(*there)
        if trait.of_target:
            before = after if source == to else ""
        unsaid = trait.kind == USE and "" in (before, after) and not (trait.of_target and after)
        # A bias of zeros, made where only the target has one, changes nothing.
        holds = trait.subject == "bias" and (before == _NO_BIAS or after == _EVERY_BIAS)
        if before != after and not unsaid and not holds:
            listed.append(Difference(trait.subject, before, after, trait.kind, trait.remedy))
    return tuple(listed)


def _no_such_network(name: str, to: str) -> str:
    row, held = architecture(name), [architecture(other) for other in DIALECTS[to].holds]
    can = f"these can hold it: {', '.join(holders(name))}"
    if isinstance(row, Classic):
        return f"{to} has no {name}; {can}"
    what = "a network that is not among its rows"
    if row.cifar and not any(other.cifar for other in held):
        what = "a 3x3 stem and no pool1, for the small images of CIFAR"
    elif not row.cifar and all(other.cifar for other in held):
        what = "pool1 and a stem with a stride, for images larger than CIFAR's"
    elif row.shortcuts == "none":
        what = "no shortcuts"
    elif row.shortcuts == "identity":
        what = "biases beside its batch norms, and no shortcut where a block strides"
    elif row.shortcuts == "padded" and all(other.projected for other in held):
        what = 'shortcuts that pad with channels of zeros ("option A")'
    elif row.squeeze and not any(other.squeeze for other in held):
        what = "squeeze-and-excitation in its blocks"
    elif row.deep and not any(other.deep for other in held):
        what = "three convolutions in its stem"
        what += " and pooled shortcuts (vd)" if row.pooled else " (vc)"
    elif row.first_projection and not any(other.first_projection for other in held):
        what = "a projection in its first block (res2a_branch1), as PaddleClas builds it"
    return f"{name} has {what}; no model in {to} has one there. It is another network; {can}"


def permit(
    source: str,
    name: str,
    to: str,
    *,
    twins: Iterable[str] = (),
    biased: bool = True,
    fold: bool = False,
    allow_mismatch: bool = False,
) -> tuple[Difference, ...]:
    """The differences that a port leaves, once those that may be are folded.

    ``biased`` says whether a convolution's bias is other than zero, ``twins`` which architectures
    the weights may be instead of ``name``. Raises MismatchError where the target would compute
    something else and ``allow_mismatch`` is not set.
    """
    left = [
        difference
        for difference in differences(source, name, to)
        if not (difference.kind == FOLD and fold) and (biased or difference.subject != "bias")
    ]
    refused = [difference for difference in left if difference.kind != USE]
    if refused and not allow_mismatch:
        raise MismatchError(_refusal(source, name, to, refused, twins))
    return tuple(left)


def _refusal(
    source: str, name: str, to: str, refused: list[Difference], twins: Iterable[str]
) -> str:
    lines = [f"{to} computes something else with the weights of {name} in {source}:"]
    lines += [f"  - {difference}" for difference in refused]
    lines += [f"  {remedy}" for remedy in dict.fromkeys(item.remedy for item in refused)]
    if any(difference.kind == FUNCTION for difference in refused):
        lines.append(f"  {name} is in {', '.join(holders(name))}")
        lines += [
            f"  the names and shapes are those of {twin} too: if that is what these are, pass "
            f"architecture={twin!r} (--architecture)"
            for twin in twins
            if twin in DIALECTS[to].holds
        ]
    lines.append("  pass allow_mismatch=True (--allow-mismatch) to convert all the same")
    return "\n".join(lines)
