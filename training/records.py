"""What every record of a training says of the machine and the software."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from parity import context

_PACKAGES = {"torch": ("torch",), "paddle": ("paddlepaddle", "paddlepaddle-gpu")}


def made(*frameworks: str) -> dict[str, Any]:
    """When, from which commit, where, and with which versions of the frameworks and NumPy."""
    return {**context.made(), "versions": _versions(frameworks)}


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
