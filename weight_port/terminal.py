"""What all the commands share: options' types, what they print, and how they end.

Exit status: 0 done or equal, 1 different or not all done, 2 wrong usage or not possible, 130
interrupted, 141 nobody reads what is printed.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO

from weight_port.errors import plain

FAILED = 2  # argparse's own status for wrong usage
_INTERRUPTED = 130  # as a shell reports a process that SIGINT ended: 128 + 2
_CLOSED = 141  # and that SIGPIPE ended: 128 + 13
_CONTINUED = re.compile("\n(?!  )")


class _Plain:
    """A text stream to which everything is written plain; in all else the stream itself."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(plain(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def make_plain() -> None:
    """From now on nothing reaches stdout or stderr but plain text, tracebacks included."""
    for stream in ("stdout", "stderr"):
        if not isinstance(getattr(sys, stream), _Plain):
            setattr(sys, stream, _Plain(getattr(sys, stream)))


def say(text: str) -> None:
    """Print ``text``, made plain."""
    print(plain(text))


def say_json(value: Any) -> None:
    """Print a JSON document of ASCII alone; NaN and infinities are texts, which JSON can hold."""
    import json  # loaded where it is asked for

    for text in json.JSONEncoder(indent=2).iterencode(_strict(value)):
        sys.stdout.write(text)  # as it is made: whole, it would take many times the value's memory
    print()


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value


def add_version(parser: argparse.ArgumentParser) -> None:
    """Have a command line answer ``--version``."""
    from weight_port import __version__

    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")


def until_closed(command: Callable[[], int]) -> int:
    """The command's exit status; 141, and no word more, once nobody reads stdout (``| head``).

    SIGPIPE's default would end the process as quietly, with no chance to tidy up. The output is
    plain from here to the process's end: the interpreter prints an uncaught error after this.
    """
    os.environ.setdefault("NO_COLOR", "1")  # argparse's and tracebacks' colours are escapes too
    make_plain()
    try:
        status = command()
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still in the buffer goes nowhere, when the interpreter flushes it on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED
    return status


def run(
    program: str,
    command: Callable[[], int],
    errors: tuple[type[Exception], ...],
    interrupted: str = "nothing half-written is left",
) -> int:
    """The command's exit status; one of ``errors`` is a line on stderr, and so is Ctrl-C.

    ``interrupted`` says what Ctrl-C leaves. A pipe that closes is for ``until_closed``.
    """
    streams = sys.stdout, sys.stderr
    make_plain()
    try:
        return command()
    except BrokenPipeError:  # an OSError, but none of the command's
        raise
    except errors as error:
        say_error(f"{program}: {error}")
        return FAILED
    except KeyboardInterrupt:
        progress(f"{program}: interrupted; {interrupted}")
        return _INTERRUPTED
    finally:
        sys.stdout, sys.stderr = streams


def progress(text: str) -> None:
    """Print a line on stderr, made plain, at once."""
    print(plain(text), file=sys.stderr, flush=True)


def say_error(text: str) -> None:
    """Print an error on stderr; what continues it is indented, a name with a newline as well."""
    progress(_CONTINUED.sub("\n  ", text))


def size(count: float) -> str:
    """A number of bytes in binary units."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.1f} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1024
    return f"{count:.1f} GiB"


# -- types for argparse


def whole(minimum: int) -> Callable[[str], int]:
    """A whole number, at least ``minimum``."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, at least {minimum}")
        return int(text)

    return parse


def wholes(minimum: int) -> Callable[[str], tuple[int, ...]]:
    """Whole numbers, at least ``minimum``, separated by commas; each once."""

    def parse(text: str) -> tuple[int, ...]:
        return tuple(dict.fromkeys(whole(minimum)(part) for part in text.split(",")))

    return parse


def names(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """Names from ``known``, separated by commas; each once."""

    def parse(text: str) -> tuple[str, ...]:
        given = tuple(dict.fromkeys(text.split(",")))
        unknown = [name for name in given if name not in known]
        if unknown:
            wrong = ", ".join(map(repr, unknown))
            raise argparse.ArgumentTypeError(f"unknown {wrong}: choose from {', '.join(known)}")
        return given

    return parse


def real(text: str) -> float:
    """A finite number; the base of the types that bound one."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} must be a number")
    return value


def positive(text: str) -> float:
    """A number above 0."""
    if (value := real(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} must be above 0")
    return value


def percentage(text: str) -> float:
    """A percentage, at least 0, as a share."""
    if (value := real(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text!r} must be a percentage, at least 0")
    return value / 100
