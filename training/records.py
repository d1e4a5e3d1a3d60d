"""What every record of a training says of the machine and the software, and how it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from parity import context
from weight_port import disk

_PACKAGES = {"torch": ("torch",), "paddle": ("paddlepaddle", "paddlepaddle-gpu")}


def made(*frameworks: str) -> dict[str, Any]:
    """When, from which commit, where, and with which versions of the frameworks and NumPy."""
    machine = {"date": context.date(), "commit": context.commit(), "system": context.system()}
    return {**machine, "versions": _versions(frameworks)}


def _versions(frameworks: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for package in (*(name for one in frameworks for name in _PACKAGES[one]), "numpy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def said(context: Mapping[str, Any]) -> str:
    """The same in one line: processor, cores, versions, date."""
    system = context["system"]
    software = ", ".join(f"{name} {version}" for name, version in context["versions"].items())
    return f"{system['cpu']}, {system['cores']} cores. {software}. {context['date']}."


def write(path: Path, record: Mapping[str, Any]) -> None:
    """Write ``path``, in place of an older one; whole or not at all."""
    with disk.new_file(path, force=True) as stream:
        stream.write(f"{json.dumps(record, indent=1, allow_nan=False)}\n".encode())
