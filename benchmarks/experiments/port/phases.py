"""Where a conversion's time goes: ``python -m benchmarks.experiments.port.phases FILE convert …``.

The command says itself where it is (``weight_port.storage.phases``). Times are nanoseconds of a
clock that the parent shares (CLOCK_MONOTONIC).
"""

from __future__ import annotations

import sys
import time
from itertools import pairwise
from typing import Any

from weight_port.storage import phases

events: list[tuple[str, int]] = []  # the phases as they began, and when


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if event == phases.EVENT:
        events.append((arguments[0], time.perf_counter_ns()))


def spent() -> dict[str, int]:
    """Nanoseconds in each phase."""
    names = (phases.READ, phases.RENAME, phases.WRITE, phases.DIGEST, phases.SYNC)
    sums = dict.fromkeys(names, 0)
    for (phase, begin), (_, end) in pairwise(events):
        if phase in sums:
            sums[phase] += end - begin
    return sums


def _main() -> int:
    from weight_port import cli

    file, *sys.argv[1:] = sys.argv[1:]
    sys.addaudithook(_listen)
    status = cli.main()
    done = time.perf_counter_ns()
    import json

    ends = {"started": events[0][1], "done": done}
    with open(file, "w") as stream:
        json.dump({**ends, **spent()}, stream)
    return status


if __name__ == "__main__":
    raise SystemExit(_main())
