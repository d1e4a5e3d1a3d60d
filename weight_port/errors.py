"""The errors of weight_port: each says what, where, why and the way out."""

from __future__ import annotations

import struct

_PIECE = 1 << 14  # characters that are looked at at a time
_LONGEST_LINE = 4_000  # characters of a name, or of what is said of one


class WeightPortError(Exception):
    """Base of all the errors that weight_port raises on purpose."""


class FormatError(WeightPortError):
    """The file is not what its name or its first bytes promise, or it is damaged."""


class UnsafeFileError(FormatError):
    """The file asks for something that data has no need of, such as a call; nothing was run."""


class DialectError(WeightPortError):
    """No dialect, or more than one, fits the names of the tensors."""


class MismatchError(WeightPortError):
    """Keys or shapes differ from the architecture's."""


class DestinationError(WeightPortError):
    """The destination can't be written: it exists, or its format can't hold the tensors."""


def shown(value: object) -> str:
    """A value out of a file, for an error: short, and made in no time.

    Tuples of one tuple twice over, forty deep, have a ``repr`` without end.
    """
    if isinstance(value, str):
        return repr(value[:60]) + (" …" if len(value) > 60 else "")
    small = isinstance(value, (int, float)) and abs(value) < 1 << 64
    return repr(value) if value is None or small else f"a {type(value).__name__}"


def plain(text: str) -> str:
    """``text`` with escapes for what a file's names must not send to a terminal.

    Control characters, those that turn the direction of text or end a line, and all else that is
    not printed, but for the newline and the tab.
    """
    if text.isprintable():
        return text
    # Letter by letter only a piece at a time: each letter is an object of up to 80 bytes.
    return "".join(_escaped(text[at : at + _PIECE]) for at in range(0, len(text), _PIECE))


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def brief(text: str) -> str:
    """As much of a text as anybody reads, and how long it is."""
    if len(text) <= _LONGEST_LINE:
        return text
    return f"{text[:_LONGEST_LINE]} … ({len(text):,} characters)"


def one_line(text: object) -> str:
    """The text of a name out of a file, which begins no line of its own and fills no screen."""
    return plain(brief(str(text))).replace("\n", "\\n").replace("\t", "\\t")


class TwinWarning(UserWarning):
    """A model was built from tensors that may be another network's."""


class PartWarning(UserWarning):
    """A network was taken out of a file, and other tensors were left there."""


# What Python and NumPy raise where a reader meets damaged or hostile bytes: a missing key, a
# shape that overflows, text that is no UTF-8, nesting too deep to print.
DAMAGE = (
    AttributeError,
    LookupError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
