"""Tables from a record, for terminals, GitHub, spreadsheets and programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from benchmarks.rows import Row, peaks, ratios, rows
from benchmarks.stats import MIN_PROCESSES


def _number(digits: int) -> Callable[[Any], str]:
    return lambda value: f"{value:,.{digits}f}"


def _percent(value: Any) -> str:
    return f"{value:.1%}"


# Heading, key in a row, how to write its value.
Column = tuple[str, str, Callable[[Any], str]]

COLUMNS: tuple[Column, ...] = (
    ("model", "model", str),
    ("batch", "batch", str),
    ("implementation", "implementation", str),
    ("median ms", "median_ms", _number(2)),
    ("p90 ms", "p90_ms", _number(2)),
    ("spread", "spread", _percent),
    ("between", "between", _percent),
    ("images/s", "images_per_s", _number(1)),
    ("GFLOP/s", "gflops", _number(0)),
    ("of peak", "share_of_peak", lambda value: f"{value:.0%}"),
    ("max diff", "max_abs", lambda value: f"{value:.1e}"),
    ("note", "note", str),
)
# Beside the device's own time, on a GPU; on a CPU the three clocks are one.
GPU_COLUMNS: tuple[Column, ...] = (
    ("wall ms", "wall_ms", _number(2)),
    ("enqueue ms", "enqueue_ms", _number(2)),
)
RATIO_COLUMNS: tuple[Column, ...] = (
    ("model", "model", str),
    ("batch", "batch", str),
    ("time of", "numerator", str),
    ("over", "denominator", str),
    ("ratio", "ratio", _number(3)),
    ("from", "low", _number(3)),
    ("to", "high", _number(3)),
    ("verdict", "verdict", str),
)
_TEXT = {"model", "implementation", "numerator", "denominator", "verdict", "note"}


def _note(row: Row) -> str:
    """A row's error, which stands in place of its speed, or its warnings."""
    if row["error"]:
        return "FAILED " + str(row["error"].strip().splitlines()[-1])
    return "; ".join(row["notes"])


def _columns(device: str) -> tuple[Column, ...]:
    if device != "gpu":
        return COLUMNS
    after = [heading for heading, _, _ in COLUMNS].index("p90 ms") + 1
    return (*COLUMNS[:after], *GPU_COLUMNS, *COLUMNS[after:])


def _grid(found: Sequence[Row], columns: Sequence[Column], style: str) -> str:
    lines = [
        [write(row[key]) if row.get(key) is not None else "–" for _, key, write in columns]
        for row in found
    ]
    return tabulate(
        lines,
        headers=[heading for heading, _, _ in columns],
        tablefmt=style,
        disable_numparse=True,
        colalign=["left" if key in _TEXT else "right" for _, key, _ in columns],
    )


def machine(record: Mapping[str, Any]) -> str:
    """Where, with what and when a record was measured, in a line."""
    context, settings = record["context"], record["settings"]
    device = context["gpu"] or f"{context['system']['cpu']}, {settings['threads']} threads"
    versions = {
        k: v for said in context["frameworks"].values() for k, v in said["versions"].items()
    }
    software = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return f"{settings['device']}: {device}. {software}. {context['date']}."


def _conventions(record: Mapping[str, Any]) -> str:
    labels = ("precision", "layout", "mode", "rung")
    kinds = dict.fromkeys(", ".join(cell[label] for label in labels) for cell in record["cells"])
    text = (
        f"{'; '.join(kinds)} rung. FLOPs: twice the multiply-adds of convolutions and classifier."
    )
    for precision in dict.fromkeys(cell["precision"] for cell in record["cells"]):
        best = [
            f"{row['framework']} {row['gflops']:,.0f} GFLOP/s at n = {row['n']}"
            for row in peaks(record, precision)
        ]
        if best:
            text += f" Peak: the run's fastest {precision} matrix product ({', '.join(best)})."
    return text


def _legend(record: Mapping[str, Any], quoted: bool) -> list[str]:
    reference = record["settings"]["reference"]
    terms = (
        "Spread: interquartile range over median, all samples. Between: range of the processes' "
        f"medians over median. Max diff: from {reference}'s float64 logits."
    )
    lines = [machine(record), _conventions(record), terms]
    if not quoted:
        lines.append(f"No ratios: they need {MIN_PROCESSES} processes per cell (--rounds).")
    return lines


def _page(record: Mapping[str, Any], style: str) -> str:
    """The table, the ratios if there are any, and what a reader must know."""
    found = [{**row, "note": _note(row)} for row in rows(record)]
    quoted = ratios(record)
    parts = [_grid(found, _columns(record["settings"]["device"]), style)]
    if quoted:
        parts.append(_grid(quoted, RATIO_COLUMNS, style))
    return "\n\n".join([*parts, *_legend(record, bool(quoted))])


def _csv(record: Mapping[str, Any]) -> str:
    """The rows in full precision; the ratios are in the other formats."""
    found = rows(record)
    names = list(dict.fromkeys(name for row in found for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "notes": "; ".join(row.get("notes", []))} for row in found)
    return stream.getvalue().rstrip("\n")


def _json(record: Mapping[str, Any]) -> str:
    return json.dumps({"rows": rows(record), "ratios": ratios(record)}, indent=1, allow_nan=False)


FORMATS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "simple": lambda record: _page(record, "simple"),
    "github": lambda record: _page(record, "github"),
    "csv": _csv,
    "json": _json,
}


def render(record: Mapping[str, Any], style: str) -> str:
    """A record as text; ``style`` is a key of FORMATS."""
    return FORMATS[style](record)
