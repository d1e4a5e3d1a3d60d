"""From ``pkg.mod:make`` to what it makes, in the process of the side that runs it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any


class BuildError(Exception):
    """A side can't be built; the message says what and why."""


def build(entry: str, folder: str, kind: type, what: str) -> Any:
    """What the callable of ``entry`` returns when called without arguments.

    ``entry`` is ``pkg.mod:make`` or ``path/file.py:make``; ``folder`` is where both are looked for.
    Raises BuildError unless that is a ``kind``, called ``what`` in words.
    """
    module, colon, name = entry.partition(":")
    if not colon or not module or not name:
        raise BuildError(f"{entry!r} names no callable: write pkg.mod:make or file.py:make")
    sys.path.insert(0, folder)
    target: Any = _module(module, folder, entry)
    for part in name.split("."):
        if not hasattr(target, part):
            raise BuildError(f"{entry}: {module} has no {name}")
        target = getattr(target, part)
    result = target if isinstance(target, kind) else _called(target, entry)
    if not isinstance(result, kind):
        raise BuildError(f"{entry}: returns a {type(result).__name__}; a {what} is needed")
    return result


def _module(name: str, folder: str, entry: str) -> Any:
    try:
        if not name.endswith(".py"):
            return importlib.import_module(name)
        path = Path(folder, name)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        sys.path.insert(1, str(path.parent))
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's module raises
        raise BuildError(f"{entry}: can't be imported: {type(error).__name__}: {error}") from error
    return module


def _called(target: Any, entry: str) -> Any:
    if not callable(target):
        raise BuildError(f"{entry}: a {type(target).__name__}; name a callable that builds the net")
    try:
        return target()
    except Exception as error:  # whatever the user's code raises
        raise BuildError(f"{entry}: failed: {type(error).__name__}: {error}") from error
