"""Shortens a command's source at every place where its bytes are asked for, one process each.

``python -m tests.helpers.shrink_steps HOW SOURCE KEPT COUNT ARGUMENT…`` runs ``weight-port`` with
the arguments as often as there are such places, at most COUNT of them, evenly spread, and prints
their statuses as JSON. ``HOW`` is "copied" for the program as it is, "mapped" for one that looks at
the maps themselves.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from weight_port import cli
from weight_port.storage import copies, phases

LEFT = 100  # bytes that stay of the source
_COPY = copies._copy


def direct(channel: int, source: memoryview, target: memoryview, mapped: Any) -> None:
    """What ``copies`` is in place of: the processor's own access."""
    target[: len(source)] = source


def run(how: str, source: Path, stop: int | None, arguments: list[str]) -> tuple[int, int]:
    """Run in this process; returns (status, places), and shortens the source at one of them."""
    places = itertools.count()

    def place(*call: Any) -> None:
        shorten()
        (direct if how == "mapped" else _COPY)(*call)

    def shorten() -> None:
        if next(places) == stop:
            os.truncate(source, LEFT)

    copies._copy = place
    sys.addaudithook(lambda event, _: shorten() if event == phases.EVENT else None)
    status = cli.main(arguments)
    return status, next(places)


def child(how: str, source: Path, stop: int | None, arguments: list[str]) -> dict[str, Any]:
    """The same in a fork: how it ended, and how many places there were."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 70
        with open(os.devnull, "w") as quiet, contextlib.redirect_stdout(quiet):
            sys.stderr = open(writing, "w")  # noqa: SIM115
            try:
                status, places = run(how, source, stop, arguments)
                print(f"places {places}", file=sys.stderr, flush=True)
            finally:
                os._exit(status)
    os.close(writing)
    with open(reading) as stream:
        text = stream.read()
    return {"status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), "said": text}


def main(how: str, source: Path, kept: Path, count: int, arguments: list[str]) -> None:
    """Once as it is, and then a child for each place."""
    shutil.copy(kept, source)
    whole = child(how, source, None, arguments)
    places = int(whole["said"].split()[-1])
    rows = [whole]
    for stop in sorted({places * n // count for n in range(count)}):
        shutil.copy(kept, source)
        rows.append({"stop": stop, **child(how, source, stop, arguments)})
    print(json.dumps(rows))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
