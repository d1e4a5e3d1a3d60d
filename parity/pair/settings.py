"""The settings of a pair, from ``pair.toml`` and the command line: what is built, fed and compared.

::

    inputs = { x = "float32[2,3,224,224]" }

    [torch]
    make = "my_port.net:make"          # or my_port/net.py:make; called without arguments
    weights = "port.pth"

    [paddle]
    make = "net:make"
    weights = "net.pdparams"

    [names]                            # layers that are to be matched, torch's = Paddle's
    "backbone.conv1" = "stem.0"

    [weights]                          # tensors that belong together, torch's = Paddle's
    "head.w" = "head.weight"
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parity.run.inputs import UsageError
from parity.run.results import FRAMEWORKS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Side:
    """One framework's half: what builds it, its weights, and where it is looked for."""

    make: str
    weights: Path | None = None
    python: str | None = None
    folder: Path = Path()  # whose modules can be imported


@dataclass(frozen=True)
class Settings:
    """A pair, checked."""

    name: str
    sides: Mapping[str, Side]
    inputs: Mapping[str, str]  # name: form, see ``inputs.arrays``
    folder: Path = Path()  # where the inputs' files are
    names: Mapping[str, str] = field(default_factory=dict)  # of layers, torch's: Paddle's
    weights: Mapping[str, str] = field(default_factory=dict)  # of tensors, torch's: Paddle's


_TABLES: dict[str, tuple[str, ...]] = {
    "torch": ("make", "weights", "python"),
    "paddle": ("make", "weights", "python"),
    "inputs": (),  # of any keys
    "names": (),
    "weights": (),
}


def read(path: Path) -> dict[str, dict[str, str]]:
    """The tables of a pair.toml. Raises UsageError."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: no TOML: {error}") from None
    for name, table in document.items():
        _check(path, name, table)
    return document


def _check(path: Path, name: str, table: Any) -> None:
    if name not in _TABLES or not isinstance(table, dict):
        raise UsageError(f"{path}: {name} is no table of a pair: {', '.join(_TABLES)}")
    for key, value in table.items():
        if not isinstance(value, str):
            raise UsageError(f"{path}: {name}.{key} must be text, not {type(value).__name__}")
        if _TABLES[name] and key not in _TABLES[name]:
            raise UsageError(f"{path}: {name}.{key} is none of {', '.join(_TABLES[name])}")


def settings(
    path: Path | None, sides: Mapping[str, Mapping[str, str | None]], inputs: Mapping[str, str]
) -> Settings:
    """The pair of a pair.toml, of the command line, or of both: the command line overrules.

    ``sides`` gives make, weights and python of either framework, None where not given. Paths of the
    file are relative to its folder, those of the command line to the working directory. Raises
    UsageError.
    """
    tables = {} if path is None else read(path)
    folder = Path.cwd() if path is None else path.absolute().parent
    built = {side: _side(side, tables.get(side, {}), folder, sides[side]) for side in FRAMEWORKS}
    return Settings(
        name="pair" if path is None else path.stem,
        sides=built,
        inputs=inputs or tables.get("inputs", {}),
        folder=Path.cwd() if inputs else folder,
        names=tables.get("names", {}),
        weights=tables.get("weights", {}),
    )


def _side(
    framework: str, table: Mapping[str, str], folder: Path, given: Mapping[str, str | None]
) -> Side:
    make = given["make"] or table.get("make")
    if not make:
        raise UsageError(
            f"nothing builds {framework}'s side: name it as --{framework} pkg.mod:make, or as "
            f"make in the file's table [{framework}]"
        )
    weights = Path.cwd() / given["weights"] if given["weights"] else None
    if weights is None and "weights" in table:
        weights = folder / table["weights"]
    if weights is not None and not weights.exists():
        raise UsageError(f"{framework}'s weights: {weights}: no such file")
    own = folder if not given["make"] else Path.cwd()
    return Side(make, weights, given["python"] or table.get("python"), own)
