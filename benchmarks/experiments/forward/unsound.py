"""What makes a record of forward passes unsound: more than its schema can say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from benchmarks.harness.worker import network, refused
from benchmarks.records import sound
from benchmarks.records.record import Record

Samples = Mapping[str, list[int]]
CLOCKS = ("device_ns", "wall_ns", "enqueue_ns")

# The device's clock runs between the wall's two readings (``timing.once``). On a CPU both are
# perf_counter; the records have gaps of up to 23 us, 0.3 % of a pass. A GPU's has a resolution of
# half a microsecond and a crystal of its own; an event and a wait for it take tens of microseconds.
# So (share, ns) of the wall's median that the device's may be short of it, by device.
GAPS = {"cpu": (0.1, 100_000), "gpu": (0.25, 1_000_000)}
BEYOND = (0.001, 2_000)  # and that a sample of the device's may be above it


def unsound(record: Record) -> list[str]:
    """Cells and peaks that hold what can't have been measured."""
    device = record["settings"]["device"]
    if device not in GAPS:
        return [f"record.settings.device: unknown device {device!r}"]
    return sound.in_each(record, "cells", lambda cell: _cell(cell, device)) + peaks(record)


def peaks(record: Record) -> list[str]:
    """Peaks of no time, or of one that no clock gives."""
    return [
        f"record.peaks[{index}]: {what}"
        for index, entry in enumerate(record["peaks"])
        for kind in ("products", "convolutions", "copies")
        for probe in entry.get(kind, ())
        for what in (sound.too_long(probe["device_ns"]) if probe["device_ns"] else ["no samples"])
    ]


def _cell(cell: Mapping[str, Any], device: str) -> Iterator[str]:
    if what := network(cell["model"], cell["size"]):
        yield what
    yield from sound.repeated(cell["processes"], "samples")
    timed = [process for process in cell["processes"] if process["samples"]]
    for process in timed:
        yield from process_problems(process["samples"], device)
        if what := refused(process["parity"], cell["precision"]):
            yield f"samples without parity: {what}"
    if cell["error"] is None and (not timed or len(timed) < len(cell["processes"])):
        yield "no error, and no samples"


def process_problems(samples: Samples, device: str) -> Iterator[str]:
    """What three clocks around the same passes can't have shown."""
    own, wall, enqueue = (samples[clock] for clock in CLOCKS)
    if not own:
        yield "no error, and no samples"
    elif not len(own) == len(wall) == len(enqueue):
        yield "the three clocks have not as many samples each"
    elif what := sound.too_long([*own, *wall, *enqueue]):
        yield from what
    else:
        yield from _clocks(own, wall, enqueue, device)


def _clocks(own: list[int], wall: list[int], enqueue: list[int], device: str) -> Iterator[str]:
    share, least = BEYOND
    if any(d > w + max(least, share * w) for d, w in zip(own, wall, strict=True)):
        yield "device time beyond wall time"
    if any(e > w for e, w in zip(enqueue, wall, strict=True)):
        yield "enqueue time beyond wall time"
    share, least = GAPS[device]
    if median(wall) - median(own) > max(least, share * median(wall)):
        yield f"device time far below wall time, which on a {device} are nearly the same"
