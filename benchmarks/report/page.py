"""A record of forward passes as one HTML page that needs nothing else; made in the browser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.experiments.forward import rows
from benchmarks.grid.cells import LABELS
from benchmarks.records import marks, tables
from benchmarks.records.record import RecordError
from benchmarks.report import series
from benchmarks.roofline import roofs
from benchmarks.stats import MIN_PROCESSES
from parity.html import document
from weight_port.storage import disk

_FOLDER = Path(__file__).parent
_SCRIPTS = ("page_charts.js", "page_table.js", "page.js")


def data(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the page holds: rows and ratios computed, samples thinned, the context as it is."""
    drawn = series.drawn_rows(record)
    precisions = dict.fromkeys(row["precision"] for row in drawn)
    return {
        "context": record["context"],
        "settings": record["settings"],
        "software": tables.software(record),
        "labels": LABELS,
        "rows": drawn,
        "looks": series.looks(drawn),
        "varying": series.varying(drawn),
        "naming": series.naming(drawn),
        "paneling": series.paneling(drawn),
        "ratios": rows.ratios(record),
        "peaks": {precision: roofs.peaks(record, precision) for precision in precisions},
        "least_processes": MIN_PROCESSES,
        "marks": marks.marks(record),
    }


def render(record: Mapping[str, Any]) -> str:
    """The page, to be written in UTF-8. Raises RecordError where a number is NaN or infinite."""
    scripts = [_FOLDER / name for name in _SCRIPTS]
    try:
        return document.render(_FOLDER / "page.html", [_FOLDER / "page.css"], scripts, data(record))
    except ValueError as error:
        raise RecordError(f"the record holds a number that no page can show: {error}") from None


def write(path: Path, record: Mapping[str, Any], force: bool = False) -> None:
    """Write the page whole or not at all. Raises RecordError or weight_port.DestinationError."""
    text = render(record)
    with disk.new_file(path, force) as stream:
        stream.write(text.encode())
