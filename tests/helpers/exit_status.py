"""How a command ends, whether it returns its status or argparse ends the process."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def status(main: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int | str | None:
    """The exit status of ``main(arguments)``."""
    try:
        return main(arguments)
    except SystemExit as stopped:
        return stopped.code
