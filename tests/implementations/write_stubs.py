"""``python -m tests.implementations.write_stubs``: the names of the two packages, for editors.

The networks are made from a table when a package is imported, where neither an editor nor a type
checker sees them. ``__init__.pyi`` lists them; ``test_stubs`` holds it against the packages.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from types import ModuleType

import weight_port

PACKAGES = ("pytorch_impl", "paddle_impl")
_WIDTH = 100  # of a line, as ruff formats it


def path(package: str) -> Path:
    """Where a package's stub stands."""
    return Path(weight_port.__file__).parents[1] / package / "__init__.pyi"


def stub(package: str) -> str:
    """The stub: what the package imports, and a signature for each network."""
    module = importlib.import_module(package)
    lines = [_import(module, name) for name in module.__all__ if name not in module.MODELS]
    networks = [_signature(name, module.MODELS[name]) for name in sorted(module.MODELS)]
    version = "__version__: str"
    return "\n".join([*sorted(filter(None, lines)), "", version, "", *networks]) + "\n"


def _import(module: ModuleType, name: str) -> str:
    home = {"MODELS": f"{module.__name__}.models"}.get(name) or getattr(
        getattr(module, name), "__module__", ""
    )
    return f"from {home} import {name} as {name}" if name != "__version__" else ""


def _signature(name: str, function: object) -> str:
    signature = inspect.signature(function)  # type: ignore[arg-type]
    parameters = ", ".join(
        f"{one.name}: {one.annotation} = {one.default!r}" for one in signature.parameters.values()
    )
    line = f"def {name}({parameters}) -> {signature.return_annotation}: ..."
    if len(line) <= _WIDTH:
        return line
    return f"def {name}(\n    {parameters}\n) -> {signature.return_annotation}: ..."


if __name__ == "__main__":
    for package in PACKAGES:
        path(package).write_text(stub(package))
