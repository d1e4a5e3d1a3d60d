"""The names beside a network, by the modules that they stand in, and how they are said."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LISTED = 12
_LONGEST = 60  # characters of a module's name that are shown
_FIRST = re.compile(r"[^./]*[./]?")


def by_module(names: Iterable[str], prefix: str) -> dict[str, int]:
    """The modules beside the one called ``prefix``, with how many names each holds.

    A module's name ends in its separator, that of a tensor which stands alone doesn't.
    """
    above = [prefix[: match.end()] for match in re.finditer(r"[./]|$", prefix)]
    counts: dict[str, int] = {}
    for name in names:
        parent = max((one for one in ("", *above) if name.startswith(one)), key=len)
        first = _FIRST.match(name, len(parent))
        module = parent + (first.group() if first else "")
        counts[module] = counts.get(module, 0) + 1
    return counts


def listed(modules: dict[str, int]) -> str:
    """ "`neck.` (40), `head.` (45)"; the largest of many."""
    shown = sorted(modules.items(), key=lambda item: -item[1]) if len(modules) > _LISTED else None
    some = list(shown or modules.items())[:_LISTED]
    text = ", ".join(f"{quoted(name)} ({count})" for name, count in some)
    rest = len(modules) - len(some)
    return f"{text} and {rest} more" if rest else text


def quoted(prefix: str) -> str:
    """A prefix between backticks, cut where it is long."""
    return f"`{prefix[:_LONGEST]}{'…' if len(prefix) > _LONGEST else ''}`"
