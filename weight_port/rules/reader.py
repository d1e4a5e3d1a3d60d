"""A rules file read: TOML of the form that ``schema.json`` describes, and no code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from weight_port.errors import DAMAGE, FormatError, shown
from weight_port.rules import fields, operations, steps
from weight_port.rules.model import VERSION, Constant, Rule, Rules
from weight_port.rules.patterns import Hole, Pattern

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_LARGEST = 1 << 22  # bytes; a rule for each of 10,000 tensors has a fourth of them


def read(path: Path) -> Rules:
    """The rules in a file. Raises FormatError, and OSError where it can't be read."""
    if path.stat().st_size > _LARGEST:
        raise FormatError(f"{path}: more than {_LARGEST} bytes, which no rules file has")
    return parse(path.read_bytes(), str(path))


def parse(data: bytes, where: str) -> Rules:
    """The rules in a file's bytes. Raises FormatError that names the place."""
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except DAMAGE as error:
        raise FormatError(f"{where}: not TOML: {str(error)[:200]}") from None
    try:
        return _rules(document)
    except fields.Wrong as error:
        raise FormatError(f"{where}: {error}") from None


def _rules(document: Mapping[str, Any]) -> Rules:
    fields.known(document, {"version", "source", "target", "rule", "made", "dropped"}, "the file")
    version = document.get("version")
    if version != VERSION or isinstance(version, bool):
        raise fields.Wrong(f"version = {VERSION} must be there, and is {shown(version)}")
    rules = Rules(
        fields.take(document, "source", fields.text, ""),
        fields.take(document, "target", fields.text, ""),
        tuple(_tables(document, "rule", _rule)),
        tuple(_tables(document, "made", partial(_constant, made=True))),
        tuple(_tables(document, "dropped", partial(_constant, made=False))),
    )
    if not (rules.rules or rules.made or rules.dropped):
        raise fields.Wrong("no [[rule]], [[made]] or [[dropped]] in it")
    return rules


def _tables(
    document: Mapping[str, Any], name: str, read_one: Callable[[Mapping[str, Any]], Any]
) -> list[Any]:
    tables = document.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise fields.Wrong(f"{name} must be written as [[{name}]]")
    results = []
    for number, table in enumerate(tables, start=1):
        try:
            results.append(read_one(table))
        except fields.Wrong as error:
            raise fields.Wrong(f"{name} {number}: {error}") from None
    return results


def _rule(table: Mapping[str, Any]) -> Rule:
    fields.known(table, {"from", "to", "do", "where"}, "a rule")
    sources, targets = (fields.take(table, key, fields.patterns) for key in ("from", "to"))
    holes = set(sources[0].holes)
    for pattern in (*sources, *targets):
        if set(pattern.holes) != holes:
            raise fields.Wrong(f"{pattern} and {sources[0]} must have the same holes")
    kinds = {name: hole.path for p in (*sources, *targets) for name, hole in p.holes.items()}
    for pattern in (*sources, *targets):
        if any(hole.path != kinds[name] for name, hole in pattern.holes.items()):
            raise fields.Wrong(f"{pattern}: a hole is a number here and a path there")
    ranges = fields.ranges(table, {name for name in holes if not kinds[name]})
    _check_numbers((*sources, *targets), ranges)
    operations = fields.take(table, "do", steps.read, ())
    if len(sources) != len(targets) and not operations:
        raise fields.Wrong(f"{len(sources)} tensors become {len(targets)}: say how in do = [...]")
    return Rule(sources, targets, operations, ranges)


def _check_numbers(patterns: Sequence[Pattern], ranges: Mapping[str, tuple[int, int]]) -> None:
    for pattern in patterns:
        for hole in pattern.parts:
            first = ranges.get(hole.name) if isinstance(hole, Hole) else None
            if first and isinstance(hole, Hole) and first[0] + hole.offset < 0:
                raise fields.Wrong(f"where: {pattern} begins below 0")


def _constant(table: Mapping[str, Any], made: bool) -> Constant:
    kind = "a made tensor" if made else "a dropped tensor"
    fields.known(table, {"name", "shape", "dtype", "value", "beside", "where"}, kind)
    name = fields.take(table, "name", fields.pattern)
    beside = fields.take(table, "beside", fields.pattern, None)
    if made and "shape" not in table:
        raise fields.Wrong("shape must be there: what is made has one")
    holes = set(name.holes) | set(beside.holes if beside else ())
    ranges = fields.ranges(table, {n for n in holes if not _is_path(n, name, beside)})
    needed = set(beside.holes) if beside else set(ranges)
    if "shape" in table and not set(name.holes) <= needed:
        raise fields.Wrong(f"{name}: beside or where must say how many there are")
    if beside is not None and set(beside.holes) != set(name.holes):
        raise fields.Wrong(f"{name} and {beside} must have the same holes")
    _check_numbers([name, *([beside] if beside else [])], ranges)
    dtype = fields.take(table, "dtype", fields.dtype, "float32")
    value = fields.take(table, "value", fields.number, 0)
    shape = fields.take(table, "shape", fields.sizes, None)
    if value != 0 and not _holds(dtype, value):
        raise fields.Wrong(f"value: {shown(value)} is none of {dtype}")
    return Constant(name, shape, dtype, value, beside, ranges)


def _is_path(hole: str, *patterns: Pattern | None) -> bool:
    return any(
        hole in pattern.holes and pattern.holes[hole].path for pattern in patterns if pattern
    )


def _holds(dtype: str, value: float) -> bool:
    kind = operations.dtype(dtype)
    try:
        return bool(kind.type(value) == value)
    except (OverflowError, ValueError):
        return False
