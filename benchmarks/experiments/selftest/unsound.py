"""What makes a record of a selftest unsound: more than its schema can say."""

from __future__ import annotations

from benchmarks.experiments.selftest.rows import CELLS
from benchmarks.records import sound
from benchmarks.records.record import Record


def unsound(record: Record) -> list[str]:
    """Groups that lack a cell or have it twice, or whose cells' processes make no pairs."""
    rounds = list(range(record["settings"]["rounds"]))
    problems = []
    for index, group in enumerate(record["groups"]):
        where = f"record.groups[{index}]"
        if sorted(cell["name"] for cell in group["cells"]) != sorted(CELLS):
            problems.append(f"{where}: its cells are not {', '.join(CELLS)}")
        for cell in group["cells"]:
            if [process["round"] for process in cell["processes"]] != rounds:
                problems.append(f"{where}: {cell['name']} has not one process per round")
            times = [ns for process in cell["processes"] for ns in process["device_ns"]]
            problems += [f"{where}: {what}" for what in sound.too_long(times)]
    return problems
