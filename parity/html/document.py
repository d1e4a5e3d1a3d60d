"""One HTML document of a template, styles, scripts and data; it needs no network and no server.

Strings in the data may come from strangers: none of them becomes markup here, and the scripts write
them as text only. A content security policy allows this style and these scripts, by their hashes,
and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
# What could end the script element that holds the JSON, or open a comment in it.
_MARKUP = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}


def _text(path: Path) -> str:
    """A file without its indentation and lines of comment, which a page doesn't need."""
    text = path.read_text(encoding="utf-8")
    return re.sub(r"(?m)^\s+|^//.*\n|^/\*.*\*/\n", "", text)


def _source(text: str) -> str:
    """What a policy calls this element's text: https://www.w3.org/TR/CSP3/#grammardef-hash-source"""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _json(data: Mapping[str, Any]) -> str:
    """JSON in ASCII, so that U+2028 and U+2029 are escaped as well."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).translate(_MARKUP)


def render(
    template: Path, styles: Sequence[Path], scripts: Sequence[Path], data: Mapping[str, Any]
) -> str:
    """The page as text, to be written in UTF-8; ``document.css`` and ``document.js`` come first.

    The template has ``{{style}}``, ``{{script}}``, their ``{{…_source}}`` and ``{{record}}``; the
    scripts, in this order, stand inside one function. Raises ValueError where the data holds NaN or
    infinity: what was not measured is None.
    """
    rules = "".join(map(_text, (_FOLDER / "document.css", *styles)))
    style = "\n" + re.sub(r"(?<=[{};,])\n", "", rules)  # line ends that CSS doesn't need
    code = "\n".join(map(_text, (_FOLDER / "document.js", *scripts)))
    script = f'\n"use strict";\n(() => {{\n{code}}})();\n'
    parts = {
        "style_source": _source(style),
        "script_source": _source(script),
        "style": style,
        "script": script,
        "record": _json(data),
    }
    # One pass: what is put in is not searched for places again.
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], _text(template))
