"""Two records of passes, cell by cell: is the second slower than the first?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import stats
from benchmarks.compare import conditions
from benchmarks.experiments.forward.rows import Row, samples
from benchmarks.grid.cells import LABELS
from benchmarks.records import marks, tables
from benchmarks.records.record import Record, RecordError, reason
from benchmarks.records.tables import Column, Table, number

THRESHOLD = 0.05  # a host drifts by as much between two runs, which no interval of either knows


_WARNING, _OF = "WARNING", "Of the"  # what a line begins with that no one may miss


def verdict(ratio: stats.Ratio | None, threshold: float) -> str:
    """SLOWER, FASTER or SAME where the whole interval is; AMBIGUOUS where it is in no one of them.

    SAME is from 1 / (1 + ``threshold``) to 1 + ``threshold``, SLOWER above, FASTER below. None, a
    ratio that was withheld, is AMBIGUOUS.
    """
    high = 1 + threshold
    low = 1 / high
    if ratio is None:
        return "AMBIGUOUS"
    if ratio.low > high:
        return "SLOWER"
    if ratio.high < low:
        return "FASTER"
    return "SAME" if low <= ratio.low and ratio.high <= high else "AMBIGUOUS"


Cell = Mapping[str, Any]


def _absent(before: Cell | None, after: Cell | None) -> tuple[str, str] | None:
    """(verdict, why) where there are no two speeds to compare; None where there are."""
    if before is None or after is None:
        return "ABSENT", "in the second record only" if before is None else "in the first only"
    if after["error"] and not before["error"]:
        return "FAILED", "fails in the second: " + reason(after["error"])
    if before["error"]:
        return "AMBIGUOUS", "failed in both" if after["error"] else "failed in the first"
    return None


def _compared(before: Cell, after: Cell, threshold: float) -> Row:
    """The measured columns of two cells. Nothing pairs processes of two runs."""
    old, new = samples(before, "device_ns"), samples(after, "device_ns")
    ratio = stats.ratio(new, old)
    row: Row = {"before_ms": stats.typical(old) / 1e6}
    row |= {"after_ms": stats.typical(new) / 1e6, "note": ""}
    row |= {name: ratio and getattr(ratio, name) for name in ("value", "low", "high")}
    if ratio is None:
        needed = f"a ratio needs {stats.MIN_PROCESSES} of each"
        row["note"] = f"{len(old)} and {len(new)} processes: {needed}"
    return {**row, "verdict": verdict(ratio, threshold)}


def _row(before: Cell | None, after: Cell | None, threshold: float) -> Row:
    absent = _absent(before, after)
    if before and after and not absent:
        return _compared(before, after, threshold)
    said, note = absent or ("ABSENT", "")
    empty = dict.fromkeys(("before_ms", "after_ms", "value", "low", "high"))
    return {**empty, "note": note, "verdict": said}


def rows(before: Record, after: Record, threshold: float = THRESHOLD) -> list[Row]:
    """A row per cell of either record; ``value`` is the second's time over the first's.

    Raises RecordError where there is nothing to compare: two devices, or no cell.
    """
    devices = [record["settings"]["device"] for record in (before, after)]
    if len(set(devices)) > 1:
        raise RecordError(f"{devices[0]} and {devices[1]}: no two cells are alike")
    if not before["cells"] and not after["cells"]:
        raise RecordError("neither record has a cell")
    old, new = conditions.by_labels(before, "the first"), conditions.by_labels(after, "the second")
    return [
        {**dict(zip(LABELS, key, strict=True)), **_row(old.get(key), new.get(key), threshold)}
        for key in dict.fromkeys((*old, *new))
    ]


def is_worse(found: Sequence[Row]) -> bool:
    """Whether a cell is slower, or fails where it did not."""
    return any(row["verdict"] in ("SLOWER", "FAILED") for row in found)


def notices(before: Record, after: Record, threshold: float = THRESHOLD) -> list[str]:
    """What a reader must know of two records before believing a verdict."""
    first, second = (record["context"]["date"] for record in (before, after))
    high = 1 + threshold
    meaning = (
        f"Ratio: the time of {second} over that of {first}, with its 95 % interval, which does not "
        "know what changed on the machine between the two. SLOWER, FASTER, SAME: all of it is "
        f"above {high:.3f}, below {1 / high:.3f}, between them; AMBIGUOUS: it is across a limit."
    )
    lines = [meaning]
    for which, record in (("first", before), ("second", after)):
        lines += [f"{_OF} {which} record: {mark}" for mark in marks.marks(record)]
    for what, facts in (("machines", conditions.machine), ("software", conditions.software)):
        differing = conditions.differences(before, after, facts)
        if differing:
            verb = "differs" if what == "software" else "differ"
            lines.append(f"{_WARNING}: the {what} {verb}: {'; '.join(differing)}")
    return lines


MEASURED = (
    Column("before ms", "before_ms", number(2)),
    Column("after ms", "after_ms", number(2)),
    Column("ratio", "value", number(3)),
    Column("from", "low", number(3)),
    Column("to", "high", number(3)),
    tables.label("verdict"),
    tables.label("note"),
)


def render(cells: Sequence[Row], lines: Sequence[str], style: str) -> str:
    """The rows in one of ``tables.FORMATS``; labels that are the same in all stand below them."""
    if style == "json":
        return tables.as_json({"cells": tables.values(cells), "notices": list(lines)})
    varied = [label for label in LABELS if len({str(row[label]) for row in cells}) > 1]
    common = [f"{label} {cells[0][label]}" for label in LABELS if label not in varied]
    columns = (*map(tables.label, varied), *MEASURED)
    notes = [*([f"All: {', '.join(common)}."] if common else []), *lines]
    if style == "csv":  # whose rows are all there is of a file of it
        return tables.render([Table("cells", columns, cells)], (), style, _warnings(lines))
    return tables.render([Table("cells", columns, cells)], notes, style)


def _warnings(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line.startswith((_WARNING, _OF))]
