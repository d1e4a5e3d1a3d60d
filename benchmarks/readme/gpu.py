"""The README's figures from a GPU: torch's half, and its outputs beside Paddle's from a CPU.

The machine that lent the GPU had no Paddle: no time of Paddle's stands here, and no ratio.
"""

from __future__ import annotations

from typing import Any

from benchmarks.experiments.forward.rows import rows
from benchmarks.readme.speeds import github, read
from benchmarks.records import rooms, tables

SPEED = "forward-gpu.json"
PARITY = ("resnet20", "resnet50")  # trained; seeded and calibrated
_WAY = ("mode", "precision", "layout")


def speed_table() -> str:
    """Median ms of a ResNet-50 on the GPU: a line per way, a column per batch."""
    timed = rows(read(SPEED))
    batches = sorted({row["batch"] for row in timed})
    ways: dict[tuple[str, ...], dict[int, dict[str, Any]]] = {}
    for row in timed:
        ways.setdefault(tuple(row[label] for label in _WAY), {})[row["batch"]] = row
    lines = [
        [", ".join(way), *(_cell(by_batch[batch]) for batch in batches), *_last(by_batch)]
        for way, by_batch in ways.items()
    ]
    last = f"at batch {batches[-1]}: "
    headings = ["resnet50, torch", *(f"batch {batch}, ms" for batch in batches)]
    return github(lines, [*headings, f"{last}images/s", "of peak", "of bandwidth"])


def _cell(row: dict[str, Any]) -> str:
    """A median, and how far the processes' medians lie apart where that is over a tenth of it."""
    wide = f" (± {row['between'] * 50:.0f} %)" if row["between"] > 0.1 else ""
    return f"{row['median_ms']:.2f}{wide}"


def _last(by_batch: dict[int, dict[str, Any]]) -> list[str]:
    row = by_batch[max(by_batch)]
    shares = (f"{row[key]:.0%}" for key in ("share_of_peak", "share_of_bandwidth"))
    return [f"{row['images_per_s']:,.0f}", *shares]


def machine() -> str:
    """Where and with what the GPU's speeds were measured."""
    record = read(SPEED)
    # The record is of two runs, merged: its rounds are those of both.
    counts = sorted({len(cell["processes"]) for cell in record["cells"]})
    said = f"{tables.machine(record)} {', '.join(map(str, counts))} processes per cell."
    return f"{said} {rooms.mark(record)}".strip()


def parity_table() -> str:
    """Relative L2 between torch on the GPU and Paddle on a CPU, by network and precision."""
    lines = [line for name in PARITY for line in _sections(read(f"parity/{name}-gpu.json"))]
    headings = ["torch on the GPU, Paddle on a CPU", "logits", "any layer", "any gradient"]
    return github(lines, [*headings, "verdict"])


def _sections(record: dict[str, Any]) -> list[list[str]]:
    """A line for each precision that both sides ran: Paddle's CPU build has no low ones."""
    by_precision: dict[str, dict[str, Any]] = {}
    for section in record["sections"]:
        if not section["error"]:
            by_precision.setdefault(section["precision"], {})[section["kind"]] = section
    return [_line(record["model"], precision, by) for precision, by in by_precision.items()]


def _line(model: str, precision: str, by_kind: dict[str, Any]) -> list[str]:
    """The largest differences of one precision, and whether all were within their bounds."""
    largest = {
        kind: max(output["relative_l2"] for output in section["outputs"])
        for kind, section in by_kind.items()
    }
    logits = next(o for o in by_kind["forward"]["outputs"] if o["name"] == "logits")
    gradients = f"{largest['gradients']:.1e}" if "gradients" in largest else ""
    equal = all(section["passed"] for section in by_kind.values())
    figures = [f"{logits['relative_l2']:.1e}", f"{largest['forward']:.1e}", gradients]
    return [f"{model}, {precision}", *figures, "equal" if equal else "DIFFERENT"]
