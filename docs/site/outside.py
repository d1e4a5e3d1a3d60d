"""MkDocs hook: what pages link to outside of docs, pictures of records above all, joins the site.

On the repository's own pages the same links lead to the files themselves.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ("benchmarks/results", "assets")
_OUTSIDE = re.compile(r"(!?)\[([^]]+)\]\((?:\.\./)+((?:benchmarks|assets)/[^)]+|README\.md)\)")


def on_files(files: Files, *, config: Any) -> Files:
    """Add every picture that stands beside the records."""
    for folder in PICTURES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".png", ".svg"):
                name = f"pictures/{path.relative_to(ROOT)}"
                files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Lead pictures to their copies; other files of the repository are named without a link."""
    up = "../" * page.file.src_uri.count("/")
    return _OUTSIDE.sub(
        lambda link: f"![{link[2]}]({up}pictures/{link[3]})" if link[1] else link[2], markdown
    )
