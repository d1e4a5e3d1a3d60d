"""Which variables a Paddle program has: the names that its combined parameter file lacks.

``.pdmodel`` and 1.x's ``__model__`` are a ProgramDesc (protobuf,
``paddle/fluid/framework/framework.proto``); since Paddle 3.0 the program is PIR in JSON
(``paddle/fluid/pir/serialize_deserialize``), where a parameter is an op ``"#": "p"``.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from weight_port.errors import DAMAGE, FormatError
from weight_port.storage import json_data, protobuf
from weight_port.storage.buffers import MAX_DIMENSIONS
from weight_port.storage.copies import copied
from weight_port.storage.protobuf import Budget

Shape = tuple[int, ...]
_DENSE_TENSOR = 7  # framework.proto, VarType.Type
# Ops that multiply by a weight [in, out]: the input it comes in by, and the attribute that says
# that it is [out, in] already.
_PRODUCTS = {
    "mul": ("Y", ""),
    "matmul": ("Y", "transpose_Y"),
    "matmul_v2": ("Y", "trans_y"),
}
_SLOTS = {slot for slot, _ in _PRODUCTS.values()}
_TRANSPOSED = {attribute for _, attribute in _PRODUCTS.values() if attribute}
_PIR_PRODUCTS = {"1.matmul": "transpose_y"}
_STATE = "__non_persistable"  # paddle.nn.layer.rnn's suffix of what it does not save
_MOST = 1 << 32  # results of a program
# ResNet-152's program has 40,846 fields that are read, and one block.
_MOST_FIELDS, _MOST_BLOCKS = 500_000, 1_000


@dataclass(frozen=True)
class Program:
    """The persistable variables of a program."""

    shapes: dict[str, Shape]
    linear: frozenset[str]  # matrices used as a layer's weights, [in, out], and as nothing else


class _Uses:
    """How a program's ops use the variables that it has, one op after another."""

    def __init__(self, shapes: dict[str, Shape]) -> None:
        self.shapes = shapes
        self.weights: set[str] = set()  # taken as linear weights
        self.others: set[str] = set()  # taken as anything else
        self.ops = 0

    def add(self, arguments: Iterable[str], weight: str | None) -> None:
        """An op's variables, and the one of them that it takes as linear weights."""
        self.ops += 1
        self.others.update(name for name in arguments if name != weight and name in self.shapes)
        if weight in self.shapes:
            self.weights.add(weight)

    def program(self) -> Program:
        """Its linear weights: of rank 2, and every op which takes them multiplies by them."""
        found = self.weights - self.others
        return Program(self.shapes, frozenset(n for n in found if len(self.shapes[n]) == 2))


def read_program(data: memoryview, where: str, weights: int = 0) -> Program:
    """The variables of a ``.pdmodel``, ``__model__`` or PIR ``.json``. Raises FormatError.

    ``weights`` is the size of the file that it belongs to: the two may take memory together.
    """
    try:
        if bytes(copied(data[:1])) == b"{":
            return _read_pir(json_data.load(data, len(data) + weights))
        return _read_desc(copied(data))
    except DAMAGE as error:
        raise FormatError(f"{where}: not a Paddle program: {error!r:.200}") from None


# -- ProgramDesc


def _read_desc(data: memoryview) -> Program:
    budget = Budget(_MOST_FIELDS)
    blocks = list(islice(protobuf.messages(data, 1, budget), _MOST_BLOCKS + 1))
    if len(blocks) > _MOST_BLOCKS:
        raise ValueError(f"more than {_MOST_BLOCKS} blocks")
    uses = _Uses({name: shape for block in blocks for name, shape in _variables(block, budget)})
    for block in blocks:
        for op in protobuf.messages(block, 4, budget):
            uses.add(*_op(op, uses.shapes, budget))
    if not uses.ops:
        raise ValueError("no block with an op in it")
    return uses.program()


def _variables(block: memoryview, budget: Budget) -> Iterator[tuple[str, Shape]]:
    for desc in protobuf.messages(block, 3, budget):
        yield from _variable(desc, budget)


def _variable(desc: memoryview, budget: Budget) -> Iterator[tuple[str, Shape]]:
    """(name, shape) of a VarDesc, where it is a persistable dense tensor."""
    name, kind, persistable = "", memoryview(b""), 0
    for number, value in protobuf.fields(desc, budget):
        if number == 1 and isinstance(value, memoryview):
            name = bytes(value).decode("utf-8")
        elif number == 2 and isinstance(value, memoryview):
            kind = value
        elif number == 3 and isinstance(value, int):
            persistable = value
    if persistable and protobuf.integers(kind, 1, budget) == [_DENSE_TENSOR]:
        tensor = protobuf.message(protobuf.message(kind, 3, budget), 1, budget)
        yield name, tuple(protobuf.integers(tensor, 2, budget))


def _op(desc: memoryview, known: Container[str], budget: Budget) -> tuple[set[str], str | None]:
    """An op's inputs that are ``known``, and the one of them that it takes as linear weights."""
    kind, arguments = "", set[str]()
    slots: dict[str, list[str | None]] = {}
    turned: set[str] = set()
    for number, value in protobuf.fields(desc, budget):
        if isinstance(value, int):
            continue
        if number == 1:
            slot, names = _slot(value, known, budget)
            arguments.update(name for name in names if name is not None)
            if slot in _SLOTS:
                slots[slot] = names
        elif number == 3:
            kind = str(value, "utf-8")
        elif number == 4:
            attribute = protobuf.text(value, 1, budget)
            if attribute in _TRANSPOSED and protobuf.integers(value, 10, budget) == [1]:
                turned.add(attribute)
    if kind not in _PRODUCTS:
        return arguments, None
    slot, transposed = _PRODUCTS[kind]
    names = slots.get(slot, [])
    return arguments, names[0] if len(names) == 1 and transposed not in turned else None


def _slot(desc: memoryview, known: Container[str], budget: Budget) -> tuple[str, list[str | None]]:
    """An input's name, and its variables; None for one that is not known."""
    slot = ""
    names: list[str | None] = []
    for number, value in protobuf.fields(desc, budget):
        if isinstance(value, int):
            continue
        if number == 1:
            slot = str(value, "utf-8")
        elif number == 2:
            name = str(value, "utf-8")
            names.append(name if name in known else None)
    return slot, names


# -- PIR


def _pir_ops(region: Any) -> Iterator[dict[str, Any]]:
    for block in region["blocks"]:
        for op in block["ops"]:
            yield op
            for inner in op.get("regions", ()):
                yield from _pir_ops(inner)


def _read_pir(value: Any) -> Program:
    if value["base_code"]["magic"] != "pir":
        raise ValueError("JSON, but without the magic word of a PIR program")
    operations = [op for region in value["program"]["regions"] for op in _pir_ops(region)]
    names: dict[int, str] = {}
    shapes: dict[str, Shape] = {}
    for op in operations:
        if op["#"] == "p":
            name, shape = op["A"][3], tuple(op["O"]["TT"]["D"][1])
            if not isinstance(name, str) or len(shape) > MAX_DIMENSIONS:
                raise ValueError("a parameter without a name, or of no shape")
            names[_number(op["O"])] = name
            if _is_saved(name, op):
                shapes[name] = shape
    uses = _Uses(shapes)
    for op in operations:
        if op["#"] != "p":
            uses.add(*_pir_op(op, names))
    return uses.program()


def _is_saved(name: str, op: dict[str, Any]) -> bool:
    """Whether a parameter stands in the combined file: not the state of an RNN's dropout.

    Of an op's output attributes the first says whether it is persistable (``OA``,
    ``pir/serialize_deserialize/src/ir_serialize.cc``).
    """
    attributes = op.get("OA")
    persistable = not isinstance(attributes, list) or attributes[:1] != [0]
    return persistable and not name.endswith(_STATE)


def _number(value: Any) -> int:
    """The number of an op's operand or result; raises ValueError."""
    number = value["%"]
    # Larger ones can be chosen so that they all have one hash, and none is found in no time.
    if not isinstance(number, int) or abs(number) > _MOST:
        raise ValueError("an operand without a number")
    return number


def _pir_op(op: dict[str, Any], names: dict[int, str]) -> tuple[set[str], str | None]:
    inputs = [names.get(_number(operand)) for operand in op["I"]]
    arguments = {name for name in inputs if name is not None}
    if op["#"] not in _PIR_PRODUCTS or len(inputs) != 2:
        return arguments, None
    turned = any(a["N"] == _PIR_PRODUCTS[op["#"]] and a["AT"]["D"] for a in op["A"])
    return arguments, None if turned else inputs[1]
