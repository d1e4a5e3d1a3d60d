"""Where a conversion's time goes: ``python -m benchmarks.experiments.port.phases FILE convert …``.

The functions of ``weight_port.conversion.convert_file`` are wrapped from outside, so that the
command needs no clock of its own, and once the digest's thread runs, so that nothing is imported
earlier than in the command itself. Times are nanoseconds of a clock that the parent shares
(CLOCK_MONOTONIC).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The part, and the functions of convert_file.py that are it; "write" holds the next two.
PARTS = {
    "read": ("open_checkpoint",),
    "rename": ("_recognised", "convert_detected", "_variables", "_difference"),
    "write": ("write",),
}
SYNC, DIGEST = "sync", "digest"

spent = dict.fromkeys((*PARTS, SYNC, DIGEST), 0)
stamps: dict[str, int] = {}


def _timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, whose time is added to a part's."""

    def call(*arguments: Any, **named: Any) -> Any:
        begin = time.perf_counter_ns()
        try:
            return function(*arguments, **named)
        finally:
            spent[part] += time.perf_counter_ns() - begin

    return call


def _wrap() -> None:
    """Have the parts timed; imports NumPy, as the command's next statement does."""
    from weight_port.conversion import convert_file
    from weight_port.storage import digest

    for part, names in PARTS.items():
        for name in names:
            setattr(convert_file, name, _timed(part, getattr(convert_file, name)))
    os.fsync = _timed(SYNC, os.fsync)
    digest.Digest.result = _timed(DIGEST, digest.Digest.result)  # type: ignore[method-assign]
    stamps["started"] = time.perf_counter_ns()


def _run(arguments: list[str]) -> int:
    from weight_port import cli
    from weight_port.storage import digest

    start = digest.start

    def start_and_wrap(source: Path, destination: Path) -> digest.Digest | None:
        started = start(source, destination)
        digest.start = start
        _wrap()
        return started

    digest.start = start_and_wrap
    sys.argv[1:] = arguments
    return cli.main()


def _main() -> int:
    file, arguments = sys.argv[1], sys.argv[2:]
    status = _run(arguments)
    stamps["done"] = time.perf_counter_ns()
    import json

    with open(file, "w") as stream:
        json.dump({**stamps, **spent}, stream)
    return status


if __name__ == "__main__":
    raise SystemExit(_main())
