"""Variables' names that a file doesn't hold: made by Paddle, or found from the shapes.

Paddle numbers the parameters of unnamed layers as they are created, per kind of layer
(``paddle/utils/unique_name.py``): the first convolution's weight is ``conv2d_0.w_0``. A batch norm
has scale, offset, mean and variance as ``.w_0``, ``.b_0``, ``.w_1`` and ``.w_2``. In
``paddle.vision``'s ResNet the projection of a block is created before its other convolutions
(``python/paddle/vision/models/resnet.py``, ``_make_layer``). In PaddleClas's, from 2.2 on, it comes
after them, and batch norms are ``batch_norm_0``, of the older ``nn.BatchNorm``
(``ppcls/arch/backbone/legendary_models/resnet.py``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from weight_port import arch
from weight_port.dialects.keys import DIALECTS, keys
from weight_port.errors import DialectError

Shape = tuple[int, ...]
Table = dict[str, tuple[str, Shape]]  # from a variable to its key and shape

_PREFIXES = {"conv": "conv2d", "batch_norm": "batch_norm2d", "linear": "linear"}
_CLAS_PREFIXES = {**_PREFIXES, "batch_norm": "batch_norm"}
_SUFFIXES = {
    "weight": "w_0",
    "linear_weight": "w_0",
    "linear_bias": "b_0",
    "bias": "b_0",
    "scale": "w_0",
    "offset": "b_0",
    "mean": "w_1",
    "variance": "w_2",
}
_AUTOMATIC = re.compile(r"([a-z0-9_]+)_([0-9]{1,6})\.([wb]_[0-9])")


@dataclass(frozen=True)
class Names:
    """The names of the tensors of a combined file, in its order."""

    what: str  # architecture and naming
    variables: list[str]
    keys: list[str]  # what the tensors are called in a state dict
    shapes: list[Shape]


def vision_names(
    name: str,
    num_classes: int | None = None,
    in_channels: int | None = None,
    include_top: bool = True,
    hidden: int | None = None,
) -> dict[str, str]:
    """From ``paddle.vision``'s keys to the names that its parameters get in a new process."""
    sizes = (name, num_classes, in_channels, include_top, hidden)
    layers = [x for x in arch.layers(*sizes) if x.parameters]
    first: dict[arch.Block | arch.Layer, int] = {}
    for position, layer in enumerate(layers):
        first.setdefault(layer.block or layer, position)
    # Within a block the projection comes first; all else stays where it was.
    layers.sort(key=lambda layer: (first[layer.block or layer], layer.branch))
    variables = _numbered(layers, _PREFIXES)
    entries = keys("paddle.vision", *sizes)
    return {key: variables[entry.name] for key, entry in entries.items()}


def clas_names(
    name: str, num_classes: int | None = None, include_top: bool = True
) -> dict[str, str]:
    """From PaddleClas's keys to the names that its parameters get in a new process."""
    layers = [x for x in arch.layers(name, num_classes, include_top=include_top) if x.parameters]
    variables = _numbered(layers, _CLAS_PREFIXES)
    entries = keys("paddleclas", name, num_classes, include_top=include_top)
    return {key: variables[entry.name] for key, entry in entries.items()}


def _numbered(layers: Iterable[arch.Layer], prefixes: Mapping[str, str]) -> dict[str, str]:
    """From the scheme's names to those of layers that are created in this order."""
    numbers: Counter[str] = Counter()
    variables: dict[str, str] = {}
    for layer in layers:
        prefix = prefixes[layer.kind]
        for parameter in layer.parameters:
            variables[parameter.name] = f"{prefix}_{numbers[prefix]}.{_SUFFIXES[parameter.role]}"
        numbers[prefix] += 1
    return variables


def name_by_shapes(shapes: Sequence[Shape], where: str) -> Names:
    """The one naming whose sorted variables have these shapes.

    Raises DialectError where none has, or where several have and give other names.
    """
    fits = [names for names in _candidates(shapes) if names.shapes == list(shapes)]
    if len({tuple(names.variables) for names in fits}) == 1:
        return fits[0]
    way_out = "put its .pdmodel or .json (of Paddle 1.x: __model__) beside it"
    if not fits:
        raise DialectError(
            f"{where}: {len(shapes)} tensors without names, no program beside them, and their "
            f"shapes are those of no network of ours; {way_out}"
        )
    candidates = "; ".join(f"{names.what}, {names.variables[0]} first" for names in fits)
    raise DialectError(f"{where}: its shapes fit more than one naming: {candidates}; {way_out}")


def keys_of(shapes: Mapping[str, Shape]) -> dict[str, str]:
    """From the variables of a network of ``paddle.vision`` or PaddleClas to its keys, else empty.

    Numbers count from wherever they began: models built before in the process took the first.
    """
    renumbered = _renumbered(shapes)
    if renumbered is None:
        return {}
    ours = sorted((created, shapes[name], name) for name, created in renumbered.items())
    for names in _candidates([shape for _, shape, _ in ours]):
        if [(created, shape) for created, shape, _ in ours] == list(
            zip(names.variables, names.shapes, strict=True)
        ):
            return {name: key for (_, _, name), key in zip(ours, names.keys, strict=True)}
    return {}


def _renumbered(names: Iterable[str]) -> dict[str, str] | None:
    """Automatic names as a new process would give them; None where one is not automatic."""
    matches = {name: _AUTOMATIC.fullmatch(name) for name in names}
    numbers: dict[str, set[int]] = {}
    for match in matches.values():
        if match is None:
            return None
        numbers.setdefault(match[1], set()).add(int(match[2]))
    ranks = {
        prefix: {n: i for i, n in enumerate(sorted(there))} for prefix, there in numbers.items()
    }
    return {
        name: f"{match[1]}_{ranks[match[1]][int(match[2])]}.{match[3]}"
        for name, match in matches.items()
        if match
    }


def _candidates(shapes: Sequence[Shape]) -> Iterator[Names]:
    """Every naming of every architecture, with the classes and channels that the shapes show.

    Classes are seen in a matrix alone: a network that ends in a convolution has its row's.
    """
    matrices = [shape for shape in shapes if len(shape) == 2]
    classes = matrices[-1][1] if matrices else None  # sorted, the classifier's last is the last
    first = {row.tensors: row.name for row in reversed(arch.ARCHITECTURES.values())}
    for name, row in arch.ARCHITECTURES.items():
        if first[row.tensors] != name:  # no tensor tells the two apart: they have one naming
            continue
        top = bool(matrices) or not row.counts[1]
        if len(arch.parameters(name, include_top=top)) != len(shapes):
            continue
        for what, table in _tables(name, classes, top):
            yield _sorted(f"{name} {what}", table, shapes)


def _tables(name: str, classes: int | None, top: bool) -> Iterator[tuple[str, Table]]:
    """What a naming is called, and its variables with their keys and shapes, the stem's first."""
    parameters = arch.parameters(name, classes, include_top=top)
    yield "as Paddle 1.x names it", {p.name: (p.name, p.shape) for p in parameters}
    if name in DIALECTS["paddle.vision"].holds:
        entries = keys("paddle.vision", name, classes, include_top=top)
        variables = vision_names(name, classes, include_top=top)
        yield "of paddle.vision", {variables[key]: (key, e.shape) for key, e in entries.items()}
    if name in DIALECTS["paddleclas"].holds:
        entries = keys("paddleclas", name, classes, include_top=top)
        variables = clas_names(name, classes, top)
        yield "of PaddleClas", {variables[key]: (key, e.shape) for key, e in entries.items()}


def _sorted(what: str, table: Table, shapes: Sequence[Shape]) -> Names:
    """A naming in the file's order, with as many input channels as the stem there has."""
    variables = sorted(table)
    stem, (key, expected) = next(iter(table.items()))
    there = shapes[variables.index(stem)]
    if len(there) == len(expected):
        table = {**table, stem: (key, (expected[0], there[1], *expected[2:]))}
    return Names(
        what, variables, [table[v][0] for v in variables], [table[v][1] for v in variables]
    )
