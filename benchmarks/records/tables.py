"""Tables as data, and the one place where each format of theirs is written.

An experiment gives its tables (``Table``) and the notes below them. They become text for terminals
and GitHub, where every column says how its value is written, and CSV and JSON, which hold the
values themselves: numbers unrounded, nothing or null where there is none.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.records import marks
from benchmarks.records.record import RecordError, reason

Row = dict[str, Any]
TEXTS = ("simple", "github")  # tabulate's names
FORMATS = (*TEXTS, "csv", "json")
NONE = "–"  # in a text, where there is no value


@dataclass(frozen=True)
class Column:
    """A heading, the key of the value in a row, and how to write that value.

    Without a key ``write`` takes the whole row, for a cell that several values make.
    """

    heading: str
    key: str | None
    write: Callable[[Any], str] = str
    left: bool = False  # aligned so, as words are; numbers stand to the right
    none: str = NONE

    def text(self, row: Mapping[str, Any]) -> str:
        """The cell of a row."""
        value = row if self.key is None else row.get(self.key)
        return self.none if value is None else self.write(value)


@dataclass(frozen=True)
class Table:
    """Rows of values under a name, which JSON and ``--table`` know it by, and their columns."""

    name: str
    columns: Sequence[Column]
    rows: Sequence[Row]


# -- columns


def label(key: str) -> Column:
    """A column of words under their key."""
    return Column(key, key, left=True)


def number(digits: int, unit: float = 1.0) -> Callable[[Any], str]:
    """A number in ``unit``, with a comma at thousands."""
    return lambda value: f"{value / unit:,.{digits}f}"


def fixed(digits: int, unit: float = 1.0) -> Callable[[Any], str]:
    """A number in ``unit``, without commas."""
    return lambda value: f"{value / unit:.{digits}f}"


def percent(digits: int = 0) -> Callable[[Any], str]:
    """A share."""
    return lambda value: f"{value:.{digits}%}"


def interval(write: Callable[[Any], str], low: str = "low", high: str = "high") -> Any:
    """Two values of a row as "1.0 to 2.0"; for a column without a key."""

    def text(row: Mapping[str, Any]) -> str:
        ends = [row.get(key) for key in (low, high)]
        return NONE if None in ends else " to ".join(map(write, ends))

    return text


def failure(row: Mapping[str, Any]) -> str:
    """The error of a row that failed, or why there was none; it stands in place of a figure."""
    text = reason(row["error"])
    is_none = text.endswith(marks.PENDING) or f"{marks.ABSENT}: " in text
    return text if is_none else f"FAILED {text}"


def note(row: Mapping[str, Any]) -> str:
    """A row's error, or its warnings."""
    return failure(row) if row["error"] else "; ".join(row["notes"])


NOTE = Column("note", None, note, left=True)


def shown(columns: Iterable[Column], rows: Sequence[Row]) -> list[Column]:
    """The columns in which some row has a value."""
    return [one for one in columns if any(one.text(row) != one.none for row in rows)]


# -- formats


def lines(
    headings: Sequence[str], cells: Sequence[Sequence[str]], left: Sequence[bool], style: str
) -> str:
    """A grid of texts; ``left`` says of every column whether it is aligned so."""
    from tabulate import tabulate  # loaded where a table is printed

    align = ["left" if one else "right" for one in left]
    return tabulate(cells, headings, tablefmt=style, disable_numparse=True, colalign=align)


def grid(table: Table, style: str) -> str:
    """A table as text, in one of TEXTS."""
    return lines(
        [column.heading for column in table.columns],
        [[column.text(row) for column in table.columns] for row in table.rows],
        [column.left for column in table.columns],
        style,
    )


def values(rows: Iterable[Row]) -> list[Row]:
    """The rows with the same keys in each, None where a row has none."""
    rows = list(rows)
    keys = dict.fromkeys(key for row in rows for key in row)
    return [{key: row.get(key) for key in keys} for row in rows]


def as_csv(rows: Iterable[Row]) -> str:
    """Rows below a line of their keys; RFC 4180 but for the ends of lines, which are Unix's."""
    rows = values(rows)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return stream.getvalue().rstrip("\n")


def _cell(value: Any) -> Any:
    return "; ".join(map(str, value)) if isinstance(value, list) else value


def as_json(document: Mapping[str, Any]) -> str:
    """A document of JSON's own values: raises ValueError for NaN and infinities."""
    return json.dumps(document, indent=1, allow_nan=False)


def choose(tables: Sequence[Table], name: str | None, where: str) -> Sequence[Table]:
    """The one called ``name``; all without a name. Raises RecordError where there is none such."""
    chosen = [table for table in tables if name in (None, table.name)]
    if not chosen:
        names = ", ".join(table.name for table in tables)
        raise RecordError(f"{where}: no table {name!r} in a record of this kind, but {names}")
    return chosen


def render(
    tables: Sequence[Table], notes: Sequence[str], style: str, warnings: Sequence[str] = ()
) -> str:
    """Tables in one of FORMATS; CSV has the first of them alone, as a file of it has one header.

    ``warnings`` are what no one may miss: in CSV they are in every row, in JSON beside the tables.
    """
    if style == "csv":
        more = {"marks": " ".join(warnings)} if warnings else {}
        return as_csv({**row, **more} for row in tables[0].rows)
    if style == "json":
        document: dict[str, Any] = {table.name: values(table.rows) for table in tables}
        return as_json({**document, **({"marks": list(warnings)} if warnings else {})})
    return "\n\n".join([*(grid(one, style) for one in tables if one.rows), *notes, *warnings])


# -- what is said of every record


def software(record: Mapping[str, Any]) -> str:
    """The frameworks and libraries of a record with their versions."""
    descriptions = record["context"]["frameworks"].values()
    versions = {name: version for one in descriptions for name, version in one["versions"].items()}
    return ", ".join(f"{name} {version}" for name, version in versions.items() if version)


def machine(record: Mapping[str, Any]) -> str:
    """Where, with what and when a record was measured, in a line."""
    context, settings = record["context"], record["settings"]
    device = context["gpu"] or f"{context['system']['cpu']}, {settings['threads']} threads"
    return f"{settings['device']}: {device}. {software(record)}. {context['date']}."
