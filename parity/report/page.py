"""A run's record as one HTML file that needs no other; its scripts draw the page from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parity.html import document

_FOLDER = Path(__file__).parent
_SCRIPTS = ("page_charts.js", "page_strip.js", "page_table.js", "page.js")


def render(record: Mapping[str, Any]) -> str:
    """The page of a record of ``record.as_json``, to be written in UTF-8.

    Raises ValueError where the record holds NaN or infinity: what was not measured is None.
    """
    own = ("page_pair.js",) if record.get("kind") == "pair" else ()
    scripts = [_FOLDER / name for name in (*_SCRIPTS, *own)]
    return document.render(_FOLDER / "page.html", [_FOLDER / "page.css"], scripts, record)
