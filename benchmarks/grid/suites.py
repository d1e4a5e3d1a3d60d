"""Grids in small TOML files: ``suites/NAME.toml``, or a file of the user's.

A file has the run's settings (``device``, ``rounds``, ``size``, ``seed``) and one or more
``[[cells]]``, each a product of lists: models, batches, implementations, modes, precisions,
layouts, threads (0: all that there are), allocators. A list that is left out is ``DEFAULTS``'.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.grid import cells
from parity.workers.launch import ALLOCATORS, available_threads

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).with_name("suites")

# Of a [[cells]] table: each key's values, and what stands for one that is not given.
KNOWN: dict[str, Sequence[str] | None] = {
    "models": cells.MODELS,
    "batches": None,  # whole numbers
    "implementations": tuple(cells.IMPLEMENTATIONS),
    "modes": cells.ALL_MODES,
    "precisions": cells.PRECISIONS,
    "layouts": cells.LAYOUTS,
    "threads": None,
    "allocators": tuple(ALLOCATORS),
}
DEFAULTS: dict[str, list[Any]] = {
    "models": ["resnet50"],
    "batches": [1, 8],
    "implementations": list(cells.IMPLEMENTATIONS),
    "modes": ["eager"],
    "precisions": ["fp32"],
    "layouts": ["NCHW"],
    "threads": [0],
    "allocators": ["default"],
}
# Of a size of 0 every network has its own.
SETTINGS: dict[str, Any] = {"device": "auto", "rounds": 5, "size": 0, "seed": 0}


class SuiteError(Exception):
    """A suite can't be read, or asks for what there is not; the message says where and what is."""


def names() -> list[str]:
    """The suites that come with the package."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def _values(where: str, key: str, given: Any) -> list[Any]:
    """A list of a [[cells]] table, each value a known one. Raises SuiteError."""
    if key not in KNOWN:
        raise SuiteError(f"{where}: unknown key {key!r}: one of {', '.join(KNOWN)}")
    if not isinstance(given, list) or not given:
        raise SuiteError(f"{where}: {key} is {given!r}, not a list with something in it")
    known = KNOWN[key]
    least = 0 if key == "threads" else 1
    for value in given:
        number = isinstance(value, int) and not isinstance(value, bool) and value >= least
        if known is None and not number:
            raise SuiteError(
                f"{where}: {key} has {value!r}: it must be a whole number, at least {least}"
            )
        if known is not None and value not in known:
            raise SuiteError(f"{where}: {key} has {value!r}: choose from {', '.join(known)}")
    return given


def expand(where: str, size: int, table: Mapping[str, Any]) -> list[cells.Cell]:
    """The cells of one [[cells]] table. Raises SuiteError, also where nothing is left of it."""
    lists = {**DEFAULTS, **{key: _values(where, key, value) for key, value in table.items()}}
    threads = [n or available_threads() for n in lists["threads"]]
    how = (lists["modes"], lists["precisions"], lists["layouts"])
    for name in lists["implementations"]:
        if not any(cells.choices(name, *how)):
            framework = cells.IMPLEMENTATIONS[name]
            there = "; ".join(
                f"{mode} in {'/'.join(row.precisions)} {'/'.join(row.layouts)}"
                for mode, row in cells.MODES[framework].items()
            )
            raise SuiteError(f"{where}: {name} has none of what is asked; there is {there}")
    sizes = (lists["models"], lists["batches"], lists["implementations"], size, threads)
    return cells.grid(*sizes, *how, lists["allocators"])


def read(name: str) -> tuple[dict[str, Any], list[cells.Cell]]:
    """(settings, cells) of a suite by its name or file. Raises SuiteError."""
    path = FOLDER / f"{name}.toml" if name in names() else Path(name)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        there = ", ".join(names())
        raise SuiteError(f"{name}: {error.strerror}; a file, or one of {there}") from None
    except ValueError as error:
        raise SuiteError(f"{path}: no TOML: {error}") from None
    tables = document.pop("cells", None)
    unknown = sorted(set(document) - set(SETTINGS))
    if unknown:
        raise SuiteError(f"{path}: unknown key {unknown[0]!r}: cells, {', '.join(SETTINGS)}")
    for key, usual in SETTINGS.items():
        if type(document.get(key, usual)) is not type(usual):
            raise SuiteError(f"{path}: {key} is {document[key]!r}, not like {usual!r}")
    if not isinstance(tables, list) or not tables:
        raise SuiteError(f"{path}: no [[cells]]")
    settings = {**SETTINGS, **document}
    grid = [
        cell
        for index, table in enumerate(tables)
        for cell in expand(f"{path}: cells {index + 1}", settings["size"], table)
    ]
    return settings, list(dict.fromkeys(grid))
