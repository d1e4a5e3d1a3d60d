"""Tables from a record, for terminals, GitHub, spreadsheets and programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.experiments.forward.rows import Row, harness, ratios, rows
from benchmarks.records.tables import Column, grid, machine, number, percent
from benchmarks.roofline.roofs import bandwidths, peaks
from benchmarks.stats import MIN_PROCESSES

# How a cell ran: a column where the cells of a record differ in it, else a line below the table.
_HOW = ("rung", "mode", "precision", "layout", "threads", "allocator")

COLUMNS: tuple[Column, ...] = (
    ("model", "model", str),
    ("batch", "batch", str),
    ("implementation", "implementation", str),
    *((label, label, str) for label in _HOW),
    ("median ms", "median_ms", number(2)),
    ("p90 ms", "p90_ms", number(2)),
    ("prepare ms", "prepare_ms", number(0)),
    ("first call ms", "first_call_ms", number(0)),
    ("spread", "spread", percent),
    ("between", "between", percent),
    ("images/s", "images_per_s", number(1)),
    ("GFLOP/s", "gflops", number(0)),
    ("of peak", "share_of_peak", lambda value: f"{value:.0%}"),
    ("of memory", "share_of_bandwidth", lambda value: f"{value:.0%}"),
    ("bound", "bound", str),
    ("max diff", "max_abs", lambda value: f"{value:.1e}"),
    ("note", "note", str),
)
# Beside the device's own time, on a GPU; on a CPU the three clocks are one.
GPU_COLUMNS: tuple[Column, ...] = (
    ("wall ms", "wall_ms", number(2)),
    ("enqueue ms", "enqueue_ms", number(2)),
)
RATIO_COLUMNS: tuple[Column, ...] = (
    ("model", "model", str),
    ("batch", "batch", str),
    ("rung", "rung", str),
    ("precision", "precision", str),
    ("time of", "numerator", str),
    ("over", "denominator", str),
    ("ratio", "ratio", number(3)),
    ("from", "low", number(3)),
    ("to", "high", number(3)),
    ("verdict", "verdict", str),
)
_OF_MEMORY = ("share_of_bandwidth", "bound")
_TEXT = {"model", "implementation", *_HOW, "numerator", "denominator", "verdict", "note", "bound"}


def _note(row: Row) -> str:
    """A row's error, which stands in place of its speed, or its warnings."""
    if row["error"]:
        return "FAILED " + str(row["error"].strip().splitlines()[-1])
    return "; ".join(row["notes"])


def _columns(device: str, found: Sequence[Row]) -> list[Column]:
    """What there is to show: the clocks of a GPU, and how the rows ran where they differ in it."""
    after = [key for _, key, _ in COLUMNS].index("p90_ms") + 1
    more = GPU_COLUMNS if device == "gpu" else ()
    same = {key for key in _HOW if len({row[key] for row in found}) < 2}
    if not any((row.get("prepare_ms") or 0) >= 1 for row in found):
        same.add("prepare_ms")
    # Records of before the bandwidth was measured have neither.
    same |= {key for key in _OF_MEMORY if not any(row.get(key) is not None for row in found)}
    return [
        column for column in (*COLUMNS[:after], *more, *COLUMNS[after:]) if column[1] not in same
    ]


def _conventions(record: Mapping[str, Any]) -> str:
    values = {label: {str(cell[label]) for cell in record["cells"]} for label in _HOW}
    shared = [f"{label} {', '.join(found)}" for label, found in values.items() if len(found) == 1]
    text = (
        f"All rows: {'; '.join(shared)}. FLOPs: twice the multiply-adds of convolutions and "
        "classifier."
    )
    if "0" in values["threads"]:
        text += " Threads 0: as many as the framework takes when nothing is set."
    for precision in dict.fromkeys(cell["precision"] for cell in record["cells"]):
        best = [
            f"{row['framework']} {row['gflops']:,.0f} GFLOP/s {row['what']}"
            for row in peaks(record, precision)
        ]
        if best:
            what = f"the run's fastest {precision} matrix product or 3×3 convolution"
            text += f" Peak: {what} ({', '.join(best)})."
    return text + memory(record)


def memory(record: Mapping[str, Any]) -> str:
    """What shares of the memory's bandwidth are of; "" where it was not measured."""
    best = [f"{row['framework']} {row['gbytes_per_s']:.1f} GB/s" for row in bandwidths(record)]
    if not best:
        return ""
    return (
        f" Memory: the run's fastest copy, bytes read and written ({', '.join(best)}), against the "
        "weights once and every step's input and output once, no step fused with another."
    )


def _legend(record: Mapping[str, Any], quoted: bool) -> list[str]:
    reference = record["settings"]["reference"]
    terms = (
        "Spread: interquartile range over median, all samples. Between: range of the processes' "
        f"medians over median. Max diff: from {reference}'s float64 logits."
    )
    lines = [machine(record), _conventions(record), terms]
    if overhead := harness(record):
        lines.append(f"The run took {overhead:.2f} × the time of its rows' processes.")
    if not quoted:
        lines.append(f"No ratios: they need {MIN_PROCESSES} processes per cell (--rounds).")
    return lines


def _page(record: Mapping[str, Any], style: str) -> str:
    """The table, the ratios if there are any, and what a reader must know."""
    found = [{**row, "note": _note(row)} for row in rows(record)]
    quoted = ratios(record)
    parts = [grid(found, _columns(record["settings"]["device"], found), _TEXT, style)]
    if quoted:
        parts.append(grid(quoted, RATIO_COLUMNS, _TEXT, style))
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
