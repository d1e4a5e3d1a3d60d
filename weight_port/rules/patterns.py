"""Names with holes: ``layer{i}.{j}.conv{k+1}.weight``.

``{i}`` stands for a whole number, ``{i+1}`` for one more than ``i``, ``{m:path}`` for any text,
dots included. ``{{`` and ``}}`` are braces. A name fits a pattern in one way at most, so that what
fills the holes of one side fills those of the other, both ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from weight_port.errors import MismatchError

Binding = Mapping[str, "int | str"]

_PARTS = re.compile(r"\{\{|\}\}|\{([a-z]+)(?:([+-]\d{1,6})|(:path))?\}|([^{}]+)")
_NUMBER = "(0|[1-9][0-9]{0,8})"  # as it is written in a name: no zeros before it


@dataclass(frozen=True)
class Hole:
    """What a pattern leaves open."""

    name: str
    offset: int = 0  # the number in the name is the hole's and this
    path: bool = False  # any text instead of a number

    def __str__(self) -> str:
        kind = ":path" if self.path else f"{self.offset:+d}" if self.offset else ""
        return f"{{{self.name}{kind}}}"


@dataclass(frozen=True)
class Pattern:
    """A name of a tensor, or of many that are alike."""

    parts: tuple[str | Hole, ...]

    def __str__(self) -> str:
        return "".join(
            str(part) if isinstance(part, Hole) else part.replace("{", "{{").replace("}", "}}")
            for part in self.parts
        )

    @cached_property
    def holes(self) -> dict[str, Hole]:
        """The holes by name."""
        return {part.name: part for part in self.parts if isinstance(part, Hole)}

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile(
            "".join(
                re.escape(part) if isinstance(part, str) else "(.+)" if part.path else _NUMBER
                for part in self.parts
            ),
            re.DOTALL,
        )

    def match(self, name: str) -> Binding | None:
        """What fills the holes in ``name``, None where it doesn't fit."""
        if (fit := self._expression.fullmatch(name)) is None:
            return None
        holes = (part for part in self.parts if isinstance(part, Hole))
        values: dict[str, int | str] = {}
        for hole, text in zip(holes, fit.groups(), strict=True):
            value = text if hole.path else int(text) - hole.offset
            if values.setdefault(hole.name, value) != value or (not hole.path and int(value) < 0):
                return None
        return values

    def fill(self, binding: Binding) -> str:
        """The name that a binding makes of the pattern.

        Raises KeyError for a hole that is open, MismatchError for a number below 0.
        """
        return "".join(
            part if isinstance(part, str) else _text(part, binding[part.name])
            for part in self.parts
        )


def _text(hole: Hole, value: int | str) -> str:
    if isinstance(value, str):
        return value
    if value + hole.offset < 0:
        raise MismatchError(f"{hole} would be {value + hole.offset} where {hole.name} is {value}")
    return str(value + hole.offset)


def literal(name: str) -> Pattern:
    """The pattern that ``name`` alone fits."""
    return Pattern((name,))


def parse(text: str) -> Pattern:
    """A pattern as it is written. Raises ValueError that says what is wrong with it."""
    parts: list[str | Hole] = []
    for part in _parts(text):
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        else:
            parts.append(part)
    if not parts:
        raise ValueError("an empty name")
    _check(parts, text)
    return Pattern(tuple(parts))


def _parts(text: str) -> Iterator[str | Hole]:
    place = 0
    while place < len(text):
        fit = _PARTS.match(text, place)
        if fit is None:
            raise ValueError(
                f"{text[:60]!r}: a hole is {{i}}, {{i+1}}, {{i-1}} or {{m:path}}, with a name of "
                "small letters; write {{ and }} for braces"
            )
        name, offset, path, plain = fit.groups()
        place = fit.end()
        yield Hole(name, int(offset or 0), bool(path)) if name else plain or fit[0][0]


def _check(parts: list[str | Hole], text: str) -> None:
    """Raises ValueError where a name could fit the pattern in two ways."""
    if sum(isinstance(part, Hole) and part.path for part in parts) > 1:
        raise ValueError(f"{text[:60]!r}: more than one {{…:path}}, which leaves open where to cut")
    kinds: dict[str, bool] = {}
    for before, part in zip([None, *parts], parts, strict=False):
        if not isinstance(part, Hole):
            if isinstance(before, Hole) and not before.path and part[0].isdigit():
                raise ValueError(f"{text[:60]!r}: a digit beside a number's hole")
            continue
        if kinds.setdefault(part.name, part.path) != part.path:
            raise ValueError(f"{text[:60]!r}: {{{part.name}}} is a number here and a path there")
        if isinstance(before, Hole):
            raise ValueError(f"{text[:60]!r}: two holes with nothing between them")
        if isinstance(before, str) and not part.path and before[-1].isdigit():
            raise ValueError(f"{text[:60]!r}: a digit beside a number's hole")
