"""The tables of forward passes: a row per cell, the ratios, and what a reader must know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.experiments.forward.rows import Row, harness, ratios, rows
from benchmarks.records.tables import NOTE, Column, Table, label, machine, number, percent
from benchmarks.roofline.roofs import bandwidths, peaks
from benchmarks.stats import MIN_PROCESSES

Record = Mapping[str, Any]

# How a cell ran: a column where the cells of a record differ in it, else a line below the table.
_HOW = ("rung", "mode", "precision", "layout", "threads", "allocator")

COLUMNS = (
    label("model"),
    Column("batch", "batch"),
    label("implementation"),
    *map(label, _HOW),
    Column("median ms", "median_ms", number(2)),
    Column("p90 ms", "p90_ms", number(2)),
    Column("prepare ms", "prepare_ms", number(0)),
    Column("first call ms", "first_call_ms", number(0)),
    Column("spread", "spread", percent(1)),
    Column("between", "between", percent(1)),
    Column("images/s", "images_per_s", number(1)),
    Column("GFLOP/s", "gflops", number(0)),
    Column("of peak", "share_of_peak", percent()),
    Column("of memory", "share_of_bandwidth", percent()),
    label("bound"),
    Column("max diff", "max_abs", lambda value: f"{value:.1e}"),
    NOTE,
)
# Beside the device's own time, on a GPU; on a CPU the three clocks are one.
GPU_COLUMNS = (
    Column("wall ms", "wall_ms", number(2)),
    Column("enqueue ms", "enqueue_ms", number(2)),
)
RATIO_COLUMNS = (
    label("model"),
    Column("batch", "batch"),
    label("rung"),
    label("precision"),
    Column("time of", "numerator", left=True),
    Column("over", "denominator", left=True),
    Column("ratio", "ratio", number(3)),
    Column("from", "low", number(3)),
    Column("to", "high", number(3)),
    label("verdict"),
)
_OF_MEMORY = ("share_of_bandwidth", "bound")


def tables(record: Record) -> list[Table]:
    """The cells, and the ratios that may be quoted."""
    cells = rows(record)
    columns = _columns(record["settings"]["device"], cells)
    return [Table("rows", columns, cells), Table("ratios", RATIO_COLUMNS, ratios(record))]


def _columns(device: str, cells: Sequence[Row]) -> list[Column]:
    """What there is to show: the clocks of a GPU, and how the rows ran where they differ in it."""
    after = [column.key for column in COLUMNS].index("p90_ms") + 1
    more = GPU_COLUMNS if device == "gpu" else ()
    omitted = {key for key in _HOW if len({row[key] for row in cells}) < 2}
    if not any((row.get("prepare_ms") or 0) >= 1 for row in cells):
        omitted.add("prepare_ms")
    # Records of before the bandwidth was measured have neither.
    omitted |= {key for key in _OF_MEMORY if not any(row.get(key) is not None for row in cells)}
    whole = (*COLUMNS[:after], *more, *COLUMNS[after:])
    return [column for column in whole if column.key not in omitted]


def notes(record: Record) -> list[str]:
    """Where, with what and how it was measured, and what the columns mean."""
    reference = record["settings"]["reference"]
    terms = (
        "Median: of each process, and of the processes the geometric mean, so that ratios are "
        "quotients of these. Spread: interquartile range over median, all samples. Between: range "
        "of the processes' "
        f"medians over median. Max diff: from {reference}'s float64 logits."
    )
    texts = [machine(record), _conventions(record), terms]
    if overhead := harness(record):
        texts.append(f"The run took {overhead:.2f} × the time of its rows' processes.")
    if not ratios(record):
        few = any(len(cell["processes"]) < MIN_PROCESSES for cell in record["cells"])
        need = f"{MIN_PROCESSES} processes per cell (--rounds)" if few else "two rows of one kind"
        texts.append(f"No ratios: they need {need}.")
    return texts


def _conventions(record: Record) -> str:
    """What all rows share, and what shares of the peak are of."""
    labels = {name: {str(cell[name]) for cell in record["cells"]} for name in _HOW}
    shared = [f"{name} {', '.join(each)}" for name, each in labels.items() if len(each) == 1]
    text = (
        f"All rows: {'; '.join(shared)}. FLOPs: twice the multiply-adds of convolutions and "
        "classifier."
    )
    if "0" in labels["threads"]:
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


def memory(record: Record) -> str:
    """What shares of the memory's bandwidth are of; "" where it was not measured."""
    best = [f"{row['framework']} {row['gbytes_per_s']:.1f} GB/s" for row in bandwidths(record)]
    if not best:
        return ""
    return (
        f" Memory: the run's fastest copy, bytes read and written ({', '.join(best)}), against the "
        "weights once and every step's input and output once, no step fused with another."
    )
