"""What makes a record of a selftest unsound: more than its schema can say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.experiments.selftest.rows import CELLS
from benchmarks.records import sound
from benchmarks.records.record import Record


def unsound(record: Record) -> list[str]:
    """Groups that lack a cell or have it twice, or whose cells' processes make no pairs."""
    rounds = list(range(record["settings"]["rounds"]))

    def check(group: Mapping[str, Any]) -> Iterator[str]:
        if sorted(cell["name"] for cell in group["cells"]) != sorted(CELLS):
            yield f"its cells are not {', '.join(CELLS)}"
        for cell in group["cells"]:
            if [process["round"] for process in cell["processes"]] != rounds:
                yield f"{cell['name']} has not one process per round"
            times = [ns for process in cell["processes"] for ns in process["device_ns"]]
            yield from sound.too_long(times)

    return sound.in_each(record, "groups", check)
