"""Records as JSON files: held against their schema, written whole or not at all.

A schema is a file beside the code that writes the record; it may refer to another by its path.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from weight_port.storage import disk

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

Record = dict[str, Any]
_SHOWN = 8  # problems in a message


class RecordError(Exception):
    """A file is no record that this version can read, or a record says what can't be."""


@cache
def schema(path: Path) -> dict[str, Any]:
    """The JSON Schema in a file of this suite."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def version(path: Path) -> int:
    """The version of the records that a schema file describes: the only one that it takes."""
    number: int = schema(path)["properties"]["schema"]["const"]
    return number


@cache
def _validator(path: Path) -> Draft202012Validator:
    # Here and not above: --help would wait for it as long as it takes itself, 0.07 s.
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    def retrieve(uri: str) -> Resource[Any]:
        return DRAFT202012.create_resource(schema(Path(url2pathname(urlsplit(uri).path))))

    registry: Registry[Any] = Registry(retrieve=retrieve)  # type: ignore[call-arg]
    return Draft202012Validator({"$ref": path.as_uri()}, registry=registry)


def _place(path: Iterable[str | int]) -> str:
    """Where something is in a record: "record.cells[1].batch"."""
    return "record" + "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in path)


def _shown(value: Any) -> str:
    """A value in a message: containers by their keys or length."""
    if isinstance(value, dict):
        return f"an object with {', '.join(value) or 'nothing'}"
    return f"{len(value)} items" if isinstance(value, list) else repr(value)


def problems(record: Any, path: Path) -> list[str]:
    """Every place where ``record`` is not as the schema file ``path`` says; empty for none."""
    return [
        f"{_place(error.absolute_path)}: {_shown(error.instance)}, but its {error.validator} "
        f"should be {error.validator_value}"
        for error in _validator(path.resolve()).iter_errors(record)
    ]


def refuse(problems: list[str], where: str, what: str) -> None:
    """Raises RecordError that lists the first of the ``problems``, if there are any."""
    if problems:
        more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise RecordError(f"{where}: {what}:\n  " + "\n  ".join(problems[:_SHOWN]) + more)


def check(record: Any, schema_file: Path, where: object, what: str) -> None:
    """Raises RecordError that lists where ``record`` is not as its schema says.

    ``where`` is the file it is in, or is to be written to; ``what`` names the kind: "record of a
    survey".
    """
    refuse(problems(record, schema_file), str(where), f"no {what}")


def read(path: Path, schema_file: Path, what: str) -> Record:
    """The record in a file. Raises RecordError for any other file; ``what``: see ``check``."""
    record: Record = load(path)
    check(record, schema_file, path, what)
    return record


def _finite(text: str) -> float:
    """A number of a document: NaN and infinity, which JSON has not, could not be written again."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no finite number")
    return value


def load(path: Path) -> Any:
    """The JSON document in a file, not checked yet. Raises RecordError."""
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except OSError as error:
        raise RecordError(f"{path}: can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path}: no JSON ({error}); pass a file that a run wrote") from None


def write(path: Path, record: Mapping[str, Any], force: bool = False) -> None:
    """Write a record, whole or not at all. Raises weight_port.DestinationError."""
    disk.write_json(path, record, force)
