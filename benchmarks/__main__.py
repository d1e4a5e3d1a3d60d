"""``python -m benchmarks``: run the grid, time conversions (``port``), show or plot a record.

Exit status: 0 every row passed parity and was timed, 1 a row failed or nothing could run, 2 wrong
usage.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.commands import (
    compare,
    forward,
    latency,
    layers,
    parity,
    port,
    selftest,
    show,
    throughput,
    train,
)
from benchmarks.harness.frameworks import RunError
from benchmarks.records import record
from parity.workers.launch import WorkerError
from weight_port import WeightPortError
from weight_port.terminal import until_closed

COMMANDS = {
    "run": forward.suite,
    "show": show.show,
    "plot": show.plot,
    "compare": compare.compare,
    "merge": compare.merge,
    "port": port.port,
    "parity": parity.parity,
    "layers": layers.layers,
    "selftest": selftest.selftest,
    "throughput": throughput.throughput,
    "latency": latency.latency,
    "train": train.train,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = COMMANDS.get(given[0]) if given else None
    try:
        return command(given[1:]) if command else forward.run(given, COMMANDS)
    except (RunError, WorkerError, record.RecordError, WeightPortError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmarks: stopped; no record was written", file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(until_closed(main))
