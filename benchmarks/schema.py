"""Is a JSON document what its schema says? The part of JSON Schema that our own schema uses.

A keyword that is neither checked nor known to be text for readers is an error of the schema, so
nothing in it goes unchecked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Schema = dict[str, Any]

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def _is_type(value: Any, names: str | list[str]) -> bool:
    return any(_TYPES[name](value) for name in ([names] if isinstance(names, str) else names))


# Keyword -> whether a value is as it asks; as in JSON Schema, a keyword for objects says nothing
# about other values.
_CHECKS: dict[str, Callable[[Any, Any], bool]] = {
    "type": _is_type,
    "const": lambda value, constant: bool(value == constant),
    "minimum": lambda value, bound: not _is_type(value, "number") or value >= bound,
    "required": lambda value, keys: not isinstance(value, dict) or value.keys() >= set(keys),
}

Child = tuple[str, Any, Schema]  # where it stands, the value, its schema


def _properties(value: Any, schema: Schema, _root: Schema) -> Iterator[Child]:
    for key, child in schema["properties"].items():
        if isinstance(value, dict) and key in value:
            yield f".{key}", value[key], child


def _other_properties(value: Any, schema: Schema, _root: Schema) -> Iterator[Child]:
    for key in value if isinstance(value, dict) else ():
        if key not in schema.get("properties", {}):
            yield f".{key}", value[key], schema["additionalProperties"]


def _items(value: Any, schema: Schema, _root: Schema) -> Iterator[Child]:
    for index, item in enumerate(value if isinstance(value, list) else ()):
        yield f"[{index}]", item, schema["items"]


def _definition(value: Any, schema: Schema, root: Schema) -> Iterator[Child]:
    yield "", value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")]


_CHILDREN = {
    "properties": _properties,
    "additionalProperties": _other_properties,
    "items": _items,
    "$ref": _definition,
}
_FOR_READERS = {"$schema", "$defs", "title", "description"}


def problems(
    value: Any, schema: Schema, path: str = "record", root: Schema | None = None
) -> list[str]:
    """Every place where ``value`` is not as ``schema`` says; empty for none."""
    root = root or schema
    found = []
    for keyword, expected in schema.items():
        if keyword in _CHECKS:
            if not _CHECKS[keyword](value, expected):
                found.append(f"{path}: {_shown(value)}, but its {keyword} should be {expected}")
        elif keyword in _CHILDREN:
            for where, child, rule in _CHILDREN[keyword](value, schema, root):
                found += problems(child, rule, path + where, root)
        elif keyword not in _FOR_READERS:
            raise KeyError(f"{path}: schema keyword {keyword!r} is not checked")
    return found


def _shown(value: Any) -> str:
    """A value in a message: containers by their keys or length."""
    if isinstance(value, dict):
        return f"an object with {', '.join(value) or 'nothing'}"
    return f"{len(value)} items" if isinstance(value, list) else repr(value)
