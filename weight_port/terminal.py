"""What the commands print: text that can't drive a terminal, and JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

_CLOSED = 141  # as a shell reports a process that SIGPIPE ended: 128 + 13


def plain(text: str) -> str:
    """``text`` with escapes for what a file's names must not send to a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def say(text: str) -> None:
    """Print ``text``, made plain."""
    print(plain(text))


def say_json(value: Any) -> None:
    """Print a JSON document of ASCII alone; NaN and infinities are texts, which JSON can hold."""
    import json  # loaded where it is asked for

    print(json.dumps(_strict(value), indent=2))


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value


def until_closed(command: Callable[[], int]) -> int:
    """The command's exit status; 141, and no word more, once nobody reads stdout (``| head``).

    SIGPIPE's default would end the process as quietly, with no chance to tidy up.
    """
    try:
        status = command()
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still in the buffer goes nowhere, when the interpreter flushes it on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED
    return status


def size(count: float) -> str:
    """A number of bytes in binary units."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.1f} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1024
    return f"{count:.1f} GiB"
