"""Pictures of a record as files. Each carries a digest of what it was drawn from, so that whether
it is stale shows without drawing it again, and whatever version of matplotlib drew it.
"""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.experiments.forward import rows
from benchmarks.harness.frameworks import RunError
from benchmarks.records import marks
from benchmarks.report import figures, series
from weight_port.storage import disk

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]

FORMATS = ("svg", "png")
VERSION = 3  # of how pictures are drawn: one more when series.py or figures.py draw otherwise
MISSING = "matplotlib, which draws, is not installed; get it: pip install 'resnet-parity[plots]'"

# Name of the file: what draws it, what a row needs to be in it, and how that is called.
PICTURES: dict[str, tuple[Callable[[Rows], Figure], str, str]] = {
    "throughput": (figures.throughput, "images_per_s", "a speed"),
    "latency": (figures.latency, "latency", "samples"),
    "roof": (figures.share_of_peak, "share_of_peak", "a peak measured in its precision"),
    "error": (figures.error, "relative_l2", "an error above 0"),
}


def drawable(drawn: Rows, needed: str) -> Rows:
    """Timed rows that have what a picture needs; none on a logarithmic axis without a place."""
    return [row for row in drawn if row["error"] is None and row.get(needed)]


def digest(record: Mapping[str, Any]) -> str:
    """SHA-256 of all that a picture depends on: the record, its rows and marks, how it is drawn."""
    parts = [VERSION, record, rows.rows(record), marks.marks(record)]
    state = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(state.encode()).hexdigest()


def digest_in(picture: Path) -> str | None:
    """What ``digest`` gave when a picture was drawn; None for no picture, or none of ours."""
    content = picture.read_bytes() if picture.exists() else b""
    found = re.search(rb"sha256:([0-9a-f]{64})", content)
    return found[1].decode() if found else None


def _metadata(style: str, identity: str) -> dict[str, Any]:
    """The digest, and no date, so that the same record gives the same bytes."""
    if style == "svg":
        return {"Date": None, "Creator": None, "Identifier": f"sha256:{identity}"}
    return {"Software": None, "Comment": f"sha256:{identity}"}


def _mark(figure: Figure, texts: Sequence[str]) -> None:
    """Below the axes, what a reader must know of the record."""
    if texts:
        lines = "\n".join(textwrap.fill(text, 120) for text in texts)
        figure.supxlabel(lines, x=0.01, ha="left", fontsize=7, color="#a00000")


def draw(record: Mapping[str, Any], name: str, path: Path, force: bool = False) -> int:
    """Draw a key of PICTURES into a file, by its suffix; returns how many rows are in it.

    With none, no file is written. Raises RunError without matplotlib, and
    weight_port.DestinationError.
    """
    try:
        import matplotlib
    except ImportError:
        raise RunError(MISSING) from None
    picture, needed, _ = PICTURES[name]
    drawn = drawable(series.drawn_rows(record), needed)
    style = path.suffix[1:]
    if drawn:
        with matplotlib.rc_context(figures.STYLE), disk.new_file(path, force) as stream:
            figure = picture(drawn)
            _mark(figure, marks.marks(record))
            metadata = _metadata(style, digest(record))
            figure.savefig(stream, format=style, dpi=150, metadata=metadata)
    return len(drawn)
