"""The README's tables, rendered from the committed records: ``python -m benchmarks.readme``.

``--check`` writes nothing and exits 1 where the README is stale.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks import table
from benchmarks.rows import ratios, rows

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SPEED = "forward-cpu.json"


def _read(name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((RESULTS / name).read_text())
    return record


def _github(lines: list[list[str]], headers: list[str]) -> str:
    right = ["left", *["right"] * (len(headers) - 1)]
    return tabulate(lines, headers, tablefmt="github", colalign=right, disable_numparse=True)


def parity_table() -> str:
    """Relative L2 between the frameworks, per depth and precision, from the parity records."""
    names = ("parity-resnet50.json", "parity-resnet101.json", "parity-resnet152.json")
    lines = []
    for record in map(_read, names):
        found: dict[str, dict[str, Any]] = {}
        worst: dict[str, float] = {}
        for output in record["outputs"]:
            dtype = output["dtype"]
            worst[dtype] = max(worst.get(dtype, 0.0), output["relative_l2"])
            if output["name"] == "logits":
                found[dtype] = output
        agree = record["top1_agree"]["float32"]
        lines.append([record["model"]])
        lines[-1] += [f"{found[dtype]['relative_l2']:.1e}" for dtype in ("float64", "float32")]
        lines[-1] += [f"{worst[dtype]:.1e}" for dtype in ("float64", "float32")]
        lines[-1] += [agree, "equal" if record["passed"] else "DIFFERENT"]
    layers = "largest of all layers"
    headers = ["torch against Paddle", "logits float64", "float32", f"{layers} float64", "float32"]
    return _github(lines, [*headers, "top-1 agrees", "verdict"])


def _cell(row: dict[str, Any]) -> str:
    return row["error"] or f"{row['median_ms']:.1f}"


def speed_table() -> str:
    """Median ms of a forward pass: a line per network and batch, a column per implementation."""
    found = rows(_read(SPEED))
    columns = list(dict.fromkeys(row["implementation"] for row in found))
    by_cell: dict[tuple[str, int], dict[str, str]] = {}
    for row in found:
        by_cell.setdefault((row["model"], row["batch"]), {})[row["implementation"]] = _cell(row)
    lines = [
        [f"{model}, batch {batch}", *(cells.get(column, "") for column in columns)]
        for (model, batch), cells in by_cell.items()
    ]
    return _github(lines, ["median ms per forward pass", *columns])


def ratio_table() -> str:
    """The quoted ratios of times with their 95 % intervals."""
    lines = [
        [
            f"{row['model']}, batch {row['batch']}",
            f"{row['numerator']} / {row['denominator']}",
            f"{row['ratio']:.2f}",
            f"{row['low']:.2f} to {row['high']:.2f}",
            row["verdict"],
        ]
        for row in ratios(_read(SPEED))
    ]
    return _github(lines, ["", "ratio of times", "value", "95 % interval", "verdict"])


def machine() -> str:
    """Where and with what the speeds were measured."""
    record = _read(SPEED)
    return f"{table.machine(record)} {record['settings']['rounds']} processes per cell."


BLOCKS: dict[str, Callable[[], str]] = {
    "parity": parity_table,
    "speed": speed_table,
    "ratios": ratio_table,
    "machine": machine,
}


def render(text: str) -> str:
    """``text`` with what stands between ``<!-- name -->`` and ``<!-- /name -->`` made anew."""
    for name, block in BLOCKS.items():
        marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not marks.search(text):
            raise ValueError(f"README.md has no block <!-- {name} --> … <!-- /{name} -->")
        made = block()
        text = marks.sub(lambda m, made=made: f"{m[1]}{made}\n{m[2]}", text)  # type: ignore[misc]
    return text


def main() -> int:
    """Run the command; returns its exit status."""
    path = ROOT / "README.md"
    old = path.read_text()
    new = render(old)
    if "--check" in sys.argv[1:]:
        print("README.md is up to date" if new == old else "README.md is stale: run `make readme`")
        return int(new != old)
    path.write_text(new)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
