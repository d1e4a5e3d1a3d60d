"""Whether a run may be called matched: its rows had the machine to themselves, and agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

# Of the cores, what other work may take when a run begins: its rows are then no more alone than the
# hypervisor lets them be. And how far the processes of a row may lie apart (their medians' range
# over their median), in the middle one of the rows: beyond it no ratio of a twentieth is seen.
LOAD, BETWEEN = 0.25, 0.10


def unmatched(record: Mapping[str, Any]) -> list[str]:
    """A sentence for each bound that a record of passes is beyond; none where it is matched."""
    return [*_load(record), *_between(record)]


def _load(record: Mapping[str, Any]) -> Iterator[str]:
    system = record["context"]["system"]
    cores = len(system["affinity"] or ()) or system["cores"] or 1
    load = system["load"][0]
    if record["settings"]["device"] == "cpu" and load > LOAD * cores:
        most = f"{LOAD * cores:g} would be let pass"
        yield f"other work had a load of {load:g} on {cores} cores when it began ({most})"


def _between(record: Mapping[str, Any]) -> Iterator[str]:
    ranges = [one for cell in record["cells"] if (one := _range(cell)) is not None]
    if ranges and (middle := float(np.median(ranges))) > BETWEEN:
        most = f"{BETWEEN:.0%} would be let pass"
        yield f"processes of one row lie {middle:.0%} apart in the middle of the rows ({most})"


def _range(cell: Mapping[str, Any]) -> float | None:
    """The range of the processes' medians over their median; None of fewer than two."""
    samples = [process["samples"] for process in cell["processes"] if process["samples"]]
    medians = [float(np.median(one["device_ns"])) for one in samples]
    if cell["error"] is not None or len(medians) < 2:
        return None
    return (max(medians) - min(medians)) / float(np.median(medians))
