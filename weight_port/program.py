"""Which variables a Paddle program has: the names that its combined parameter file lacks.

``.pdmodel`` and 1.x's ``__model__`` are a ProgramDesc (protobuf,
``paddle/fluid/framework/framework.proto``); since Paddle 3.0 the program is PIR in JSON
(``paddle/fluid/pir/serialize_deserialize``), where a parameter is an op ``"#": "p"``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from weight_port import wire
from weight_port.errors import DAMAGE, FormatError

Shape = tuple[int, ...]
_DENSE_TENSOR = 7  # framework.proto, VarType.Type
# Ops that multiply by a weight [in, out]: the input it comes in by, and the attribute that says
# that it is [out, in] already.
_PRODUCTS = {
    "mul": ("Y", ""),
    "matmul": ("Y", "transpose_Y"),
    "matmul_v2": ("Y", "trans_y"),
}
_PIR_PRODUCTS = {"1.matmul": "transpose_y"}


@dataclass(frozen=True)
class Program:
    """The persistable variables of a program."""

    shapes: dict[str, Shape]
    linear: frozenset[str]  # matrices used as a layer's weights, [in, out], and as nothing else


@dataclass(frozen=True)
class _Op:
    """An op's variables, and those of them that it takes as linear weights."""

    arguments: frozenset[str]
    weight: str | None


def _linear(shapes: dict[str, Shape], ops: list[_Op]) -> frozenset[str]:
    """Weights of rank 2 that every op which takes them multiplies by."""
    weights = {op.weight for op in ops if op.weight is not None}
    others = {name for op in ops for name in op.arguments if name != op.weight}
    return frozenset(name for name in weights - others if name in shapes and len(shapes[name]) == 2)


def read_program(data: memoryview, where: str) -> Program:
    """The variables of a ``.pdmodel``, ``__model__`` or PIR ``.json``. Raises FormatError."""
    try:
        if bytes(data[:1]) == b"{":
            return _read_pir(json.loads(bytes(data)))
        return _read_desc(data)
    except DAMAGE as error:
        raise FormatError(f"{where}: not a Paddle program: {error!r:.200}") from None


# -- ProgramDesc


def _read_desc(data: memoryview) -> Program:
    shapes: dict[str, Shape] = {}
    ops: list[_Op] = []
    for block in wire.messages(data, 1):
        for number, value in wire.fields(block):
            if number == 3 and isinstance(value, memoryview):
                shapes.update(_variable(value))
            elif number == 4 and isinstance(value, memoryview):
                ops.append(_op(value))
    if not ops:
        raise ValueError("no block with an op in it")
    return Program(shapes, _linear(shapes, ops))


def _variable(desc: memoryview) -> Iterator[tuple[str, Shape]]:
    """(name, shape) of a VarDesc, where it is a persistable dense tensor."""
    name, kind, persistable = "", memoryview(b""), 0
    for number, value in wire.fields(desc):
        if number == 1 and isinstance(value, memoryview):
            name = bytes(value).decode("utf-8")
        elif number == 2 and isinstance(value, memoryview):
            kind = value
        elif number == 3 and isinstance(value, int):
            persistable = value
    if persistable and wire.integers(kind, 1) == [_DENSE_TENSOR]:
        tensor = wire.message(wire.message(kind, 3), 1)
        yield name, tuple(wire.integers(tensor, 2))


def _op(desc: memoryview) -> _Op:
    inputs, kind, attributes = [], "", []
    for number, value in wire.fields(desc):
        if isinstance(value, int):
            continue
        if number == 1:
            inputs.append(value)
        elif number == 3:
            kind = bytes(value).decode("utf-8")
        elif number == 4:
            attributes.append(value)
    by_slot = {
        wire.text(slot, 1): [bytes(name).decode("utf-8") for name in wire.messages(slot, 2)]
        for slot in inputs
    }
    arguments = frozenset(name for names in by_slot.values() for name in names)
    if kind not in _PRODUCTS:
        return _Op(arguments, None)
    slot, transposed = _PRODUCTS[kind]
    turned = any(wire.text(a, 1) == transposed and wire.integers(a, 10) == [1] for a in attributes)
    names = by_slot.get(slot, [])
    return _Op(arguments, names[0] if len(names) == 1 and not turned else None)


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
    found = [op for region in value["program"]["regions"] for op in _pir_ops(region)]
    names: dict[int, str] = {}
    shapes: dict[str, Shape] = {}
    for op in found:
        if op["#"] == "p":
            name, result = op["A"][3], op["O"]
            names[result["%"]] = name
            shapes[name] = tuple(result["TT"]["D"][1])
    ops = [_pir_op(op, names) for op in found if op["#"] != "p"]
    return Program(shapes, _linear(shapes, ops))


def _pir_op(op: dict[str, Any], names: dict[int, str]) -> _Op:
    inputs = [names.get(operand["%"]) for operand in op["I"]]
    arguments = frozenset(name for name in inputs if name is not None)
    if op["#"] not in _PIR_PRODUCTS or len(inputs) != 2:
        return _Op(arguments, None)
    turned = any(a["N"] == _PIR_PRODUCTS[op["#"]] and a["AT"]["D"] for a in op["A"])
    return _Op(arguments, None if turned else inputs[1])
